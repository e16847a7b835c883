import type { HoldfastFetch } from '../../client/options.ts'
import { outcomeOf, setOutcome } from '../../client/outcome.ts'
import type { Route, RoutedInit } from '../../client/transport.ts'
import { ROUTE } from '../../http/route.ts'
import { Attempt, Unconnected } from './attempt.ts'
import { Delivery } from './delivery.ts'
import type { AnyHandler, Dispatch, DispatchOptions, RequestHeaders } from './dispatch.ts'
import type { Scope } from '../../primitives/signal.ts'
import { changed, lasting, requestHeaders, type PlainHeaders } from './headers.ts'
import { bodyOf, urlOf } from './request.ts'

interface CallParts {
  readonly fetch: HoldfastFetch
  readonly dispatch: Dispatch
  /** Where requests go that do not say so themselves. */
  readonly origin: string
}

/** One request that goes through the pipeline, each of its attempts by `dispatch`. */
class InterceptedCall implements Route {
  readonly scope: Scope
  readonly owner: CallParts
  readonly #options: DispatchOptions
  readonly #delivery: Delivery
  /** The headers given. */
  #given: RequestHeaders | undefined
  /** The same, as the pipeline reads them. */
  #read: Headers | PlainHeaders | undefined
  #newest: Attempt | undefined

  constructor(parts: CallParts, options: DispatchOptions, handler: AnyHandler) {
    this.#delivery = new Delivery(handler)
    this.scope = this.#delivery.scope
    this.owner = parts
    this.#options = options
  }

  send(init: RoutedInit): Promise<Response> {
    const scope = init.context?.scope ?? this.scope
    this.#newest = new Attempt(this.owner.dispatch, this.#attemptOptions(init), scope, this.#newest)
    return this.#newest.response
  }

  /** Tells the handler how it ends. */
  async run(): Promise<void> {
    const delivery = this.#delivery
    try {
      delivery.start()
      const response = await this.#response()
      if (delivery.aborted) return
      let attempt = this.#newest
      while (attempt?.isWholeIn(response) === false) attempt = attempt.before
      if (attempt === undefined) await delivery.pump(response)
      else delivery.handOver(attempt)
    } catch (error) {
      // Of its own abort the caller has been told.
      if (!delivery.aborted) delivery.onError(error instanceof Unconnected ? causeOf(error) : error)
    } finally {
      for (let attempt = this.#newest; attempt !== undefined; attempt = attempt.before) attempt.cutOff()
    }
  }

  #response(): Promise<Response> {
    const { fetch, origin } = this.owner
    const options = this.#options
    const { method } = options
    const url = urlOf(options, origin)
    const init: RoutedInit = { method, [ROUTE]: this }
    this.#given = lasting(options.headers)
    this.#read = hasHeaders(options) ? requestHeaders(this.#given) : undefined
    if (this.#read !== undefined) init.headers = this.#read
    const { body, finite } = bodyOf(options, this.#read)
    if (body !== undefined) init.body = body
    if (finite === undefined) return fetch(url, init)
    return fetch(new Request(url, { method, body: finite, duplex: 'half' } as RequestInit), init)
  }

  /**
   * What the caller gave, with what the pipeline has changed of headers and body. Each attempt has an object of its own,
   * since interceptors below may write to it; and no headers where none are, since not every dispatcher takes `null` for
   * that.
   */
  #attemptOptions({ headers, body }: RequestInit): DispatchOptions {
    const given = this.#given
    const options = { ...this.#options }
    const wanted = headers === undefined ? given : changed(given, this.#read, headers)
    if (wanted !== undefined) options.headers = wanted
    if (body !== undefined) options.body = body
    return options
  }
}

/** Sends one request through the pipeline, each attempt by `dispatch`, and tells the handler how it ends. */
export const run = (parts: CallParts, options: DispatchOptions, handler: AnyHandler): Promise<void> =>
  new InterceptedCall(parts, options, handler).run()

function causeOf(error: Unconnected): unknown {
  const outcome = outcomeOf(error)
  if (outcome !== undefined) setOutcome(error.cause, outcome)
  return error.cause
}

/** To make none of nothing saves 4 of 60 us. */
function hasHeaders({ headers }: DispatchOptions): boolean {
  return headers !== undefined && headers !== null && (!Array.isArray(headers) || headers.length > 0)
}
