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
  return { send: (input, init, request) => flat(transport, input, init, request) }
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

/**
 * The platform's fetch, looked up at each call, so that mocks and instrumentation are seen; it gets what the caller
 * gave. Once it has been replaced by a Holdfast fetch, or by a wrapper of one, the one from before is used.
 */
class GlobalSender implements Sender {
  readonly #before: Fetch | undefined
  readonly #beforeSender: Sender | undefined
  /** Set while a replacement of the global fetch runs: a call that comes back in then is our own. */
  #inside = false

  constructor(current: Fetch | undefined) {
    this.#beforeSender = underlying.get(current)
    this.#before = current
  }

  send(input: FetchInput, init: RequestInit | undefined, request: Request | undefined): Promise<Response> {
    const fetch = globalThis.fetch
    if (fetch === this.#before && this.#beforeSender === undefined) return fetch(input, init)
    if (this.#inside || underlying.get(fetch) !== undefined) return this.#sendAsBefore(input, init, request)
    this.#inside = true
    try {
      return fetch(input, init)
    } finally {
      this.#inside = false
    }
  }

  #sendAsBefore(
    input: FetchInput,
    init: RequestInit | undefined,
    request: Request | undefined,
  ): Promise<Response> {
    if (this.#beforeSender !== undefined) return this.#beforeSender.send(input, init, request)
    const fetch = this.#before
    if (fetch === undefined)
      throw new TypeError('there is no global fetch here: pass one as the option `fetch`')
    return fetch(input, init)
  }
}
