import { Scope } from '../../primitives/signal.ts'
import type { Attempt } from './attempt.ts'
import type { AnyHandler, Bytes, Controller, End, Head, RawHeaders, Receiver } from './dispatch.ts'
import { rawOf, recordFrom } from './headers.ts'
import { listenerOf, type Listener } from './listener.ts'
import { Pace } from './pace.ts'

/** What sends the response that the caller is getting, to be steered by the caller's handler. */
type Source = Pick<Controller, 'abort' | 'pause' | 'resume'>

/**
 * Delivers one response to the caller's handler, and nothing of the attempts before it. As the handler's controller it
 * steers first the call with all its attempts, then the response that was accepted.
 */
export class Delivery implements Controller, Receiver {
  aborted = false
  paused = false
  reason: unknown = null
  rawHeaders: RawHeaders = null
  rawTrailers: RawHeaders = null
  /** The call with all its attempts. */
  readonly scope: Scope = new Scope()
  readonly #context: Record<string, unknown> = {}
  readonly #listener: Listener
  #source: Source | undefined

  constructor(handler: AnyHandler) {
    this.#listener = listenerOf(handler)
  }

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    if (this.#source !== undefined) return this.#source.abort(reason)
    this.scope.abort(reason ?? aborted(), 'caller')
    // Not only when the call has ended, which may wait for a policy: for the caller it is over now.
    queueMicrotask(() => this.onError(this.scope.reason))
  }

  pause(): void {
    this.paused = true
    this.#source?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#source?.resume()
  }

  onHead(head: Head): void {
    this.#listener.onHead(this, head)
  }

  onData(chunk: Bytes): void {
    this.#listener.onChunk(this, chunk)
  }

  onEnd(end: End): void {
    this.#listener.onEnd(this, end)
  }

  onError(error: unknown): void {
    this.#listener.onFailure(this, error)
  }

  start(): void {
    this.#listener.onStart(this, this.#context)
  }

  /** The response of an attempt, as it comes over the wire. */
  handOver(attempt: Attempt): void {
    Object.assign(this.#context, attempt.context)
    this.#source = attempt
    attempt.passTo(this)
  }

  /** Delivers a response that no attempt has brought: a stored one, a fallback. */
  async pump(response: Response): Promise<void> {
    const reader = response.body?.getReader()
    const pace = new Pace()
    this.#source = {
      abort(reason) {
        reader?.cancel(reason).catch(() => {})
        pace.abort(reason)
      },
      pause: () => pace.pause(),
      resume: () => pace.resume(),
    }
    const { status, statusText } = response
    try {
      const headers = recordFrom(response.headers)
      // undici 8 reads `rawHeaders`, and takes `null` for a response without headers.
      this.onHead({ status, headers, message: statusText, raw: rawOf(null, headers) })
      for (;;) {
        await pace.ready()
        const read = await reader?.read()
        pace.check()
        if (read === undefined || read.done) break
        this.onData(bufferOf(read.value))
      }
      this.onEnd({ trailers: {}, raw: null })
    } catch (error) {
      this.onError(error)
    }
  }
}

/** The platform's reason for an abort without one. */
const aborted = (): DOMException => new DOMException('This operation was aborted', 'AbortError')

/** undici gives handlers Buffers, and readers of its bodies rely on that. */
function bufferOf({ buffer, byteOffset, byteLength }: Bytes): Buffer<ArrayBuffer> {
  return Buffer.from(buffer, byteOffset, byteLength)
}
