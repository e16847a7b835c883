import { IS_COMING } from '../../http/lazy-body.ts'
import { underlying, type ByteSource } from '../../http/relay.ts'
import type { Head } from './dispatch.ts'
import { immutableHeaders } from './headers.ts'

/** Where a response came from. */
export interface Provenance {
  readonly url: string
  readonly redirected: boolean
  readonly type: ResponseType
}

const decoder = new TextDecoder()

/** What a lazy response reads its body from. */
export interface BodySource extends ByteSource {
  /** Whether the whole body has arrived. */
  readonly isComplete?: boolean
  /** The whole body, where that is cheaper than reading it chunk by chunk. */
  whole?(): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>
  /** Called with the reason of an abort at once, whether or not somebody reads. */
  onAborted?: ((reason: unknown) => void) | undefined
}

/**
 * A response that makes its headers and its stream only when they are read. Most callers want text or JSON, which come
 * straight from the bytes: a constructed `Response` with a stream costs 15 us on Node 20 (5 us on Node 24), a fifth of
 * the whole request. It constructs one, and delegates to it, once `body` is read.
 *
 * Its prototype chain has `Response`, whose constructor it does not call. So code that uses the internals of a response
 * (`Response.prototype.text.call(response)`) gets a TypeError, instead of an empty body.
 */
class LazyResponse implements Response {
  readonly #head: Head
  readonly #provenance: Provenance
  /** `null`: a response without a body. */
  readonly #source: BodySource | null
  #headers: Headers | undefined
  #constructed: Response | undefined
  #bodyUsed = false

  constructor(head: Head, source: BodySource | null, provenance: Provenance, constructed?: Response) {
    this.#head = head
    this.#source = source
    this.#provenance = provenance
    this.#constructed = constructed
  }

  get [IS_COMING](): boolean {
    return this.#source !== null && this.#source.isComplete !== true
  }

  get status(): number {
    return this.#head.status
  }

  get statusText(): string {
    return this.#head.message ?? ''
  }

  get ok(): boolean {
    return this.#head.status >= 200 && this.#head.status <= 299
  }

  get url(): string {
    return this.#provenance.url
  }

  get redirected(): boolean {
    return this.#provenance.redirected
  }

  get type(): ResponseType {
    return this.#provenance.type
  }

  get headers(): Headers {
    return (this.#headers ??= immutableHeaders(this.#head.headers))
  }

  get body(): Response['body'] {
    return this.#source === null ? null : this.#construct().body
  }

  get bodyUsed(): boolean {
    return this.#constructed?.bodyUsed ?? this.#bodyUsed
  }

  async text(): Promise<string> {
    const bytes = this.#useBytes()
    return bytes === undefined ? this.#construct().text() : decoder.decode(await bytes)
  }

  async json(): Promise<unknown> {
    const bytes = this.#useBytes()
    return bytes === undefined ? this.#construct().json() : JSON.parse(decoder.decode(await bytes))
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = this.#useBytes()
    return bytes === undefined ? this.#construct().arrayBuffer() : copyOf(await bytes).buffer
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = this.#useBytes()
    return bytes === undefined ? new Uint8Array(await this.#construct().arrayBuffer()) : copyOf(await bytes)
  }

  async blob(): Promise<Blob> {
    return this.#construct().blob()
  }

  async formData(): Promise<FormData> {
    return this.#construct().formData()
  }

  clone(): Response {
    const copy = this.#construct().clone()
    return new LazyResponse(this.#head, this.#source, this.#provenance, copy)
  }

  /** Whether nobody has begun to read its body. */
  get isUnread(): boolean {
    return !this.bodyUsed && this.#constructed?.body?.locked !== true
  }

  /** The bytes, for the first one who wants all of them; `undefined` where a constructed response has to answer. */
  #useBytes(): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> | undefined {
    const isTaken = this.#constructed !== undefined || this.#bodyUsed
    if (isTaken || this.#source?.whole === undefined) return undefined
    this.#bodyUsed = true
    return this.#source.whole()
  }

  #construct(): Response {
    return (this.#constructed ??= this.#bodyUsed ? usedUp() : new Response(this.#stream(), this.#init()))
  }

  /** What else its body is read by. */
  #init(): ResponseInit {
    return { headers: this.headers }
  }

  #stream(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    const source = this.#source
    if (source === null) return null
    // Referenced by its stream: while that is read, the response is not collected, which would end its connection.
    const held: ByteSource & { readonly response: LazyResponse } = {
      response: this,
      read: () => source.read(),
      cancel: (reason) => source.cancel(reason),
    }
    const start = (controller: ReadableByteStreamController): void => {
      // Weak: the source, which waits for an abort, must not keep a stream alive that nobody reads.
      const weak = new WeakRef(controller)
      source.onAborted = (reason) => weak.deref()?.error(reason)
    }
    return new ReadableStream({ type: 'bytes', ...underlying(held), start }, { highWaterMark: 0 })
  }
}

/** Puts `Response` into the prototype chain. Not at import, since reading `globalThis.Response` makes Node load its fetch. */
export function standInForResponses(): void {
  Object.setPrototypeOf(LazyResponse.prototype, Response.prototype)
  Object.defineProperty(LazyResponse.prototype, 'constructor', { value: Response })
}

export function lazyResponse(head: Head, source: BodySource | null, provenance: Provenance): Response {
  return new LazyResponse(head, source, provenance)
}

/** Whether all of the body of such a response is still to be read. */
export const isUnread = (response: Response): boolean => response instanceof LazyResponse && response.isUnread

const copyOf = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

function usedUp(): Response {
  const response = new Response('')
  response.text().catch(() => {})
  return response
}
