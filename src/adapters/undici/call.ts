import type { HoldfastFetch } from '../../client/options.ts'
import { outcomeOf, setOutcome } from '../../client/outcome.ts'
import type { Route, RoutedInit } from '../../client/transport.ts'
import { ROUTE } from '../../http/route.ts'
import { Attempt, Unconnected } from './attempt.ts'
import { Delivery } from './delivery.ts'
import type { AnyHandler, Dispatch, DispatchOptions } from './dispatch.ts'
import { changed, requestHeaders } from './headers.ts'
import { bodyOf, urlOf } from './request.ts'

interface CallParts {
  readonly fetch: HoldfastFetch
  readonly dispatch: Dispatch
  /** Where requests go that do not say so themselves. */
  readonly origin: string
}

/** Sends one request through the pipeline, each attempt by `dispatch`, and tells the handler how it ends. */
export async function run(parts: CallParts, options: DispatchOptions, handler: AnyHandler): Promise<void> {
  const delivery = new Delivery(handler)
  const { scope } = delivery
  let newest: Attempt | undefined
  const send = (init: RoutedInit): Promise<Response> => {
    newest = new Attempt(parts.dispatch, attemptOptions(options, init), init.context?.scope ?? scope, newest)
    return newest.response
  }
  try {
    delivery.start()
    const response = await callThrough(parts, options, { send, scope, owner: parts })
    if (delivery.aborted) return
    let attempt = newest
    while (attempt?.isWholeIn(response) === false) attempt = attempt.before
    if (attempt === undefined) await delivery.pump(response)
    else delivery.handOver(attempt)
  } catch (error) {
    // Of its own abort the caller has been told.
    if (!delivery.aborted) delivery.onError(error instanceof Unconnected ? causeOf(error) : error)
  } finally {
    for (let attempt = newest; attempt !== undefined; attempt = attempt.before) attempt.cutOff()
  }
}

function causeOf(error: Unconnected): unknown {
  const outcome = outcomeOf(error)
  if (outcome !== undefined) setOutcome(error.cause, outcome)
  return error.cause
}

function callThrough(
  { fetch, origin }: CallParts,
  options: DispatchOptions,
  route: Route,
): Promise<Response> {
  const url = urlOf(options, origin)
  const { method } = options
  const init: RoutedInit = { method, [ROUTE]: route }
  const headers = hasHeaders(options) ? requestHeaders(options.headers) : undefined
  if (headers !== undefined) init.headers = headers
  const { body, finite } = bodyOf(options, headers)
  if (body !== undefined) init.body = body
  if (finite === undefined) return fetch(url, init)
  return fetch(new Request(url, { method, body: finite, duplex: 'half' } as RequestInit), init)
}

/** To make none of nothing saves 4 of 60 us. */
function hasHeaders({ headers }: DispatchOptions): boolean {
  return headers !== undefined && headers !== null && (!Array.isArray(headers) || headers.length > 0)
}

/**
 * What the caller gave, with what the pipeline has changed of headers and body. Each attempt has an object of its own, since
 * interceptors below may write to it; and no headers where none are, since not every dispatcher takes `null` for that.
 */
function attemptOptions(given: DispatchOptions, { headers, body }: RequestInit): DispatchOptions {
  const options = { ...given }
  const wanted = headers === undefined ? given.headers : changed(given.headers, asHeaders(headers))
  if (wanted !== undefined) options.headers = wanted
  if (body !== undefined) options.body = body
  return options
}

const asHeaders = (headers: NonNullable<RequestInit['headers']>): Headers =>
  headers instanceof Headers ? headers : new Headers(headers)
