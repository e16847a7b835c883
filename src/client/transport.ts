import type { Fetch, FetchInput } from '../http/fetch-types.ts'
import { createStamp } from '../stamp.ts'
import { invalidOption } from '../validate.ts'
import type { HoldfastInit, Transport } from './options.ts'
import { initOf, requestOf, wholeInitOf } from './request.ts'

/** Marks a Holdfast fetch with what it sends by: retries belong to one layer only. */
const underlying = createStamp<Sender>()

/** Hands a request to the network. */
export interface Sender {
  /** `request` is the input where it is a `Request`. */
  send(input: FetchInput, init: RequestInit | undefined, request: Request | undefined): Promise<Response>
  /** The same, for a request that is none of the pipeline's business: it carries the caller's own signal. */
  pass: Sender['send']
  /** The same, but past whatever has replaced the global fetch since. */
  sendPastReplacement: Sender['send']
}

/** Under this an init carries what sends its attempts in place of the fetch's own transport: an interceptor's way. */
export const SEND: unique symbol = Symbol('send')

export interface RoutedInit extends HoldfastInit {
  [SEND]: (init: RequestInit | undefined) => Promise<Response>
}

const routeOf = (init: Partial<RoutedInit> | undefined): RoutedInit[typeof SEND] | undefined => init?.[SEND]

export function markAsHoldfast(fetch: object, sender: Sender): void {
  underlying.set(fetch, sender)
}

export function senderOf(transport: Transport | undefined): Sender {
  const sender = plainSenderOf(transport)
  const routed =
    (send: Sender['send']): Sender['send'] =>
    (input, init, request) =>
      routeOf(init)?.(init) ?? send(input, init, request)
  return {
    send: routed((...request) => sender.send(...request)),
    pass: routed((...request) => sender.pass(...request)),
    sendPastReplacement: (...request) => sender.sendPastReplacement(...request),
  }
}

function plainSenderOf(transport: Transport | undefined): Sender {
  if (transport === undefined) return new GlobalSender(globalThis.fetch)
  if (underlying.get(transport) !== undefined) {
    throw invalidOption(
      'fetch',
      'a plain transport, since retries belong to one layer (use fetch.with)',
      'a holdfast fetch',
    )
  }
  const send: Sender['send'] = (input, init, request) => flat(transport, input, init, request)
  return { send, pass: send, sendPastReplacement: send }
}

/** A transport of the user's is called with a URL and an init, as a plain function. */
function flat(
  transport: Transport,
  input: FetchInput,
  init: RequestInit | undefined,
  request: Request | undefined,
): Promise<Response> {
  if (request === undefined) return transport(`${input as string | URL}`, init)
  const body = init?.body === undefined ? wholeInitOf(request) : initOf(request)
  return transport(request.url, { ...body, ...init })
}

function urlOf(input: FetchInput): string {
  const text = requestOf(input)?.url ?? `${input as string | URL}`
  const base = globalThis.location?.href
  return URL.canParse(text, base) ? new URL(text, base).href : text
}

/** Signals of attempts that went out through what has replaced the global fetch. */
const sentSignals = createStamp<true>()

/** The URL for which the global fetch is being called: who comes in with it meanwhile is called by a wrapper. */
let callingGlobal: string | undefined

/**
 * Whether a call is an attempt of our own that has come back: the global fetch is a wrapper around a Holdfast fetch.
 * Seen by the call stack, or by the signal where the wrapper takes its time.
 */
export function isOwnAttempt(input: FetchInput, init: RequestInit | undefined): boolean {
  if (routeOf(init) !== undefined) return false
  return (
    (callingGlobal !== undefined && callingGlobal === urlOf(input)) || sentSignals.get(init?.signal) === true
  )
}

/**
 * The platform's fetch, looked up at each call, so that mocks and instrumentation are seen; it gets what the caller
 * gave. Where it has been replaced by a Holdfast fetch, the one from before is used.
 */
class GlobalSender implements Sender {
  readonly #before: Fetch | undefined

  constructor(current: Fetch | undefined) {
    this.#before = current
  }

  send(...request: Parameters<Sender['send']>): Promise<Response> {
    const [, init] = request
    if (globalThis.fetch !== this.#before && init?.signal) sentSignals.set(init.signal, true)
    return this.pass(...request)
  }

  pass(...[input, init, request]: Parameters<Sender['send']>): Promise<Response> {
    const fetch = globalThis.fetch
    if (underlying.get(fetch) !== undefined) return this.sendPastReplacement(input, init, request)
    callingGlobal = urlOf(input)
    try {
      return fetch(input, init)
    } finally {
      callingGlobal = undefined
    }
  }

  sendPastReplacement(...[input, init, request]: Parameters<Sender['send']>): Promise<Response> {
    const fetch = this.#before
    if (fetch === undefined) {
      throw new TypeError('there is no global fetch to send by: pass a transport as the option `fetch`')
    }
    const sender = underlying.get(fetch)
    return sender === undefined ? fetch(input, init) : sender.sendPastReplacement(input, init, request)
  }
}
