import { KEY_HEADER, type ReadBody, type RequestView } from '../engine.ts'
import type { WhenGone } from '../waiting.ts'
import { limitedBytes } from './body.ts'

/** A web-standard request as the engine sees it. */
export class WebRequestView<Req> implements RequestView<Req> {
  readonly source: Req
  readonly method: string
  readonly target: string
  readonly #request: Request

  constructor(source: Req, request: Request) {
    const { pathname, search } = new URL(request.url)
    this.source = source
    this.#request = request
    this.method = request.method
    this.target = pathname + search
  }

  /** The platform has joined several lines into one, which no key can be. */
  get keyLines(): string[] {
    const line = this.#request.headers.get(KEY_HEADER)
    return line === null ? [] : [line]
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined
  }

  readonly whenGone: WhenGone = (callback) => {
    const { signal } = this.#request
    if (signal.aborted) callback()
    signal.addEventListener('abort', callback, { once: true })
    return () => signal.removeEventListener('abort', callback)
  }

  async body(maxBytes: number): Promise<ReadBody> {
    const { body, bodyUsed } = this.#request
    // One that is locked can't be cloned: somebody is about to read it.
    if (bodyUsed || body?.locked === true) return 'unavailable'
    if (body === null) return new Uint8Array()
    if (Number(this.header('content-length')) > maxBytes) return 'too-large'
    return limitedBytes(this.#request.clone(), maxBytes)
  }
}
