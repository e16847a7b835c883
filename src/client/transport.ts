import type { Fetch, FetchInput } from '../http/fetch-types.ts'
import { createStamp } from '../stamp.ts'
import { invalidOption } from '../validate.ts'
import type { Transport } from './options.ts'
import { initOf } from './request.ts'

/** Marks a Holdfast fetch with what it sends by: retries belong to one layer only. */
const underlying = createStamp<Sender>()

/** Hands a request to the network. */
export interface Sender {
  /** `request` is the input where it is a `Request`. */
  send(input: FetchInput, init: RequestInit | undefined, request: Request | undefined): Promise<Response>
  /** The same, but past whatever has replaced the global fetch since. */
  sendPastReplacement: Sender['send']
}

export function markAsHoldfast(fetch: object, sender: Sender): void {
  underlying.set(fetch, sender)
}

export function senderOf(transport: Transport | undefined): Sender {
  if (transport === undefined) return new GlobalSender(globalThis.fetch)
  if (underlying.get(transport) !== undefined) {
    throw invalidOption(
      'fetch',
      'a plain transport, since retries belong to one layer (use fetch.with)',
      'a holdfast fetch',
    )
  }
  const send: Sender['send'] = (input, init, request) => flat(transport, input, init, request)
  return { send, sendPastReplacement: send }
}

/** A transport of the user's is called with a URL and an init, as a plain function. */
function flat(
  transport: Transport,
  input: FetchInput,
  init: RequestInit | undefined,
  request: Request | undefined,
): Promise<Response> {
  if (request === undefined) return transport(input as string, init)
  return transport(request.url, { ...initOf(request), ...bodyOf(request, init), ...init })
}

function bodyOf(request: Request, init: RequestInit | undefined): RequestInit {
  if (init?.body !== undefined || !request.body) return {}
  return { body: request.body, duplex: 'half' } as RequestInit
}

/** Signals of attempts that went out through a replacement of the global fetch. */
const sentSignals = createStamp<true>()

/** Set while such a replacement is being called. */
let callingReplacement = false

/**
 * Whether a call is an attempt of our own that has come back: the global fetch is a wrapper around a Holdfast fetch.
 * Seen by the call stack, or by the signal where the wrapper takes its time.
 */
export function isOwnAttempt(init: RequestInit | undefined): boolean {
  return callingReplacement || sentSignals.get(init?.signal) === true
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

  send(...[input, init, request]: Parameters<Sender['send']>): Promise<Response> {
    const fetch = globalThis.fetch
    if (underlying.get(fetch) !== undefined) return this.sendPastReplacement(input, init, request)
    if (fetch === this.#before) return fetch(input, init)
    if (init?.signal) sentSignals.set(init.signal, true)
    callingReplacement = true
    try {
      return fetch(input, init)
    } finally {
      callingReplacement = false
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
