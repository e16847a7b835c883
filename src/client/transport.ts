import type { Fetch, FetchInput } from '../http/fetch-types.ts'
import { parsedUrl } from '../http/parsed-url.ts'
import { ROUTE } from '../http/route.ts'
import type { Context } from '../core/policy.ts'
import type { Scope } from '../primitives/signal.ts'
import { createStamp } from '../primitives/stamp.ts'
import { invalidOption } from '../primitives/validate.ts'
import { rawOf, shown } from './attempt-init.ts'
import type { HoldfastInit, Transport } from './options.ts'
import { addressOf, wholeInitOf } from './request.ts'

/**
 * Marks a Holdfast fetch with what it sends by: retries belong to one layer only, also where two copies of the package
 * meet, as those of a process and of an SDK in it.
 */
const MARK = Symbol.for('holdfast.sender')

interface Marked {
  readonly [MARK]?: { readonly fetch: object; readonly sender: Sender }
}

/** A proxy has the marks of what it stands for: it is a wrapper all the same. */
function senderOf(fetch: unknown): Sender | undefined {
  const mark = (fetch as Marked | null | undefined)?.[MARK]
  return mark?.fetch === fetch ? mark?.sender : undefined
}

/** An interceptor's way through a fetch: what sends the attempts in place of its own transport, and calls them off. */
export interface Route {
  /** @param init with the attempt's context, where there is a pipeline */
  send(init: RoutedInit): Promise<Response>
  /** The call's. Whoever ends it tells his caller so at once. */
  readonly scope: Scope
  /** Whose way it is: only who comes the same way gets the same answer. */
  readonly owner: object
}

export interface RoutedInit extends HoldfastInit {
  [ROUTE]: Route
  context?: Context
}

export const routeOf = (init: Partial<RoutedInit> | undefined): Route | undefined => init?.[ROUTE]

export function markAsHoldfast(fetch: object, sender: Sender): void {
  Object.defineProperty(fetch, MARK, { value: { fetch, sender } })
}

export const isHoldfast = (fetch: unknown): boolean => senderOf(fetch) !== undefined

/** Whether this very copy of the package has made it. */
export const isOfThisCopy = (fetch: unknown): boolean => senderOf(fetch) instanceof Sender

/** A transport of the user's is called with a URL and an init, as a plain function. */
function flat(
  transport: Transport,
  input: FetchInput,
  init: RequestInit | undefined,
  request: Request | undefined,
): Promise<Response> {
  if (request === undefined) return transport(addressOf(input), init)
  type Members = RequestInit & Record<string, unknown>
  const own = wholeInitOf(request) as Members
  // Its signal is still made only when it is read: 6 of 14 us.
  const raw = rawOf(init)
  const given = (raw ?? init) as Members | undefined
  // What is given as undefined asks for nothing, nor does no body: it must not hide what the request has.
  for (const name in given)
    if (given[name] !== undefined && (given[name] !== null || name !== 'body')) own[name] = given[name]
  return transport(request.url, raw ? shown(own) : own)
}

function urlOf(input: FetchInput): string {
  const address = addressOf(input)
  return parsedUrl(address, globalThis.location?.href)?.href ?? address
}

/** Signals of attempts that went out through what has replaced the global fetch. */
const sentSignals = createStamp<true>()

/** What the global fetch is being called with: who comes in with the same meanwhile is called by a wrapper. */
let callingGlobal: FetchInput | undefined

/**
 * Whether a call is an attempt of our own that has come back: the global fetch is a wrapper around a Holdfast fetch.
 * Seen by the call stack, or by the signal where the wrapper takes its time.
 */
export function isOwnAttempt(input: FetchInput, init: RequestInit | undefined): boolean {
  return (
    !routeOf(init) &&
    ((callingGlobal !== undefined && urlOf(callingGlobal) === urlOf(input)) ||
      sentSignals.get(init?.signal) === true)
  )
}

/**
 * Hands a request to the network: by a transport of the user's, or by the platform's fetch, looked up at each call, so
 * that mocks and instrumentation are seen; that gets what the caller gave. Where it has been replaced by a Holdfast
 * fetch, the one from before is used. `request` is the input where that is a `Request`.
 */
export class Sender {
  /** The user's own; not the platform's, which gets what the caller gave. */
  readonly #transport: Transport | undefined
  readonly #before: Fetch | undefined = globalThis.fetch
  /**
   * Whether it does not matter what the global fetch is by now: there is a transport, or this was seen to be the global
   * fetch itself, so that who has replaced it since may send by it.
   */
  #isPinned: boolean

  constructor(transport: Transport | undefined) {
    if (senderOf(transport)) {
      throw invalidOption(
        'fetch',
        'a plain transport: retries belong to one layer (use fetch.with)',
        'a holdfast fetch',
      )
    }
    if (transport !== this.#before) this.#transport = transport
    this.#isPinned = !!transport
  }

  /** Sends an attempt. */
  send(input: FetchInput, init?: RequestInit, request?: Request): Promise<Response> {
    if (!this.#isPinned && globalThis.fetch !== this.#before && init?.signal)
      sentSignals.set(init.signal, true)
    return this.#hand(input, init, request)
  }

  /** Sends what is none of the pipeline's business: it carries the caller's own signal. */
  pass(input: FetchInput, init?: RequestInit, request?: Request): Promise<Response> {
    const route = routeOf(init)
    return route ? route.send(init as RoutedInit) : this.#hand(input, init, request)
  }

  #hand(input: FetchInput, init?: RequestInit, request?: Request): Promise<Response> {
    const fetch = globalThis.fetch
    const other = senderOf(fetch)
    if ((this.#isPinned ||= other === this) || other) return this.sendPastReplacement(input, init, request)
    callingGlobal = input
    try {
      return fetch(input, init)
    } finally {
      callingGlobal = undefined
    }
  }

  /** Sends past whatever has replaced the global fetch since. */
  sendPastReplacement(input: FetchInput, init?: RequestInit, request?: Request): Promise<Response> {
    if (this.#transport) return flat(this.#transport, input, init, request)
    const fetch = this.#before
    if (!fetch) {
      throw new TypeError('no global fetch: pass one as `fetch`')
    }
    return senderOf(fetch)?.sendPastReplacement(input, init, request) ?? fetch(input, init)
  }
}
