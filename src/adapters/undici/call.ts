import type { HoldfastFetch } from '../../client/options.ts'
import { SEND, type RoutedInit } from '../../client/transport.ts'
import { Attempt } from './attempt.ts'
import { Delivery } from './delivery.ts'
import type { AnyHandler, Dispatch, DispatchOptions } from './dispatch.ts'
import { changed, requestHeaders } from './headers.ts'
import { asHandler } from './old-handler.ts'
import { bodyOf, urlOf } from './request.ts'

interface CallParts {
  readonly fetch: HoldfastFetch
  readonly dispatch: Dispatch
  /** Where requests go that do not say so themselves. */
  readonly origin: string
}

/** Sends one request through the pipeline, each attempt by `dispatch`, and tells the handler how it ends. */
export async function run(parts: CallParts, options: DispatchOptions, given: AnyHandler): Promise<void> {
  const delivery = new Delivery(asHandler(given))
  const attempts = new WeakMap<Response, Attempt>()
  try {
    delivery.start()
    const send = (init: RequestInit = {}): Promise<Response> =>
      sendOnce(parts.dispatch, attemptOptions(options, init), init.signal, attempts)
    const response = await callThrough(parts, options, delivery.controller.signal, send)
    const attempt = attempts.get(response)
    if (attempt?.isWholeIn(response) === true) delivery.handOver(attempt)
    else await delivery.pump(response)
  } catch (error) {
    delivery.fail(error)
  }
}

function callThrough(
  { fetch, origin }: CallParts,
  options: DispatchOptions,
  signal: AbortSignal,
  send: RoutedInit[typeof SEND],
): Promise<Response> {
  const url = urlOf(options, origin)
  const { method } = options
  const headers = requestHeaders(options.headers)
  const { body, finite } = bodyOf(options, headers)
  const init: RoutedInit = { method, headers, signal, [SEND]: send }
  if (body !== undefined) init.body = body
  if (finite === undefined) return fetch(url, init)
  return fetch(new Request(url, { method, body: finite, duplex: 'half' } as RequestInit), init)
}

/** What the caller gave, with what the pipeline has changed of headers and body. */
function attemptOptions(given: DispatchOptions, { headers, body }: RequestInit): DispatchOptions {
  const wanted = headers instanceof Headers ? headers : new Headers(headers)
  const options = { ...given, headers: changed(given.headers, wanted) ?? null }
  return body === undefined ? options : { ...options, body }
}

function sendOnce(
  dispatch: Dispatch,
  options: DispatchOptions,
  signal: AbortSignal | null | undefined,
  attempts: WeakMap<Response, Attempt>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const attempt = new Attempt((response) => {
      attempts.set(response, attempt)
      resolve(response)
    }, reject)
    signal?.addEventListener('abort', () => attempt.abort(signal.reason), { once: true })
    attempt.start(dispatch, options)
  })
}
