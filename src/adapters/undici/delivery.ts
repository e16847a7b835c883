import { Scope } from '../../signal.ts'
import type { Attempt, Receiver } from './attempt.ts'
import type { Controller, Handler, RawHeaders } from './dispatch.ts'
import { recordFrom, recordOf } from './headers.ts'
import { Pace } from './pace.ts'

/** Whoever sends what the caller gets now. */
type Source = Pick<Controller, 'abort' | 'pause' | 'resume'>

/** What the caller's handler steers: first the call with all its attempts, then the response that was accepted. */
export class CallController implements Controller {
  aborted = false
  paused = false
  reason: unknown = null
  rawHeaders: RawHeaders = null
  rawTrailers: RawHeaders = null
  /** The call with all its attempts. */
  readonly scope: Scope = new Scope()
  #source: Source | undefined

  steer(source: Source): void {
    this.#source = source
  }

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    if (this.#source === undefined) this.scope.abort(reason ?? aborted(), 'caller')
    else this.#source.abort(reason)
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
}

/** Tells the caller's handler of one response, and of nothing that came before it. */
export class Delivery {
  readonly controller: CallController = new CallController()
  readonly #context: Record<string, unknown> = {}
  readonly #handler: Handler

  constructor(handler: Handler) {
    this.#handler = handler
  }

  start(): void {
    this.#handler.onRequestStart?.(this.controller, this.#context)
  }

  fail(error: unknown): void {
    this.#handler.onResponseError?.(this.controller, error)
  }

  /** The response of an attempt, as it comes over the wire. */
  handOver(attempt: Attempt): void {
    Object.assign(this.#context, attempt.context)
    this.controller.steer(attempt)
    attempt.passTo(this.#receiver())
  }

  /** A response that was made on this side: a stored one, a fallback. */
  async pump(response: Response): Promise<void> {
    const receiver = this.#receiver()
    const reader = response.body?.getReader()
    const pace = new Pace()
    this.controller.steer({
      abort(reason) {
        reader?.cancel(reason).catch(() => {})
        pace.abort(reason)
      },
      pause: () => pace.pause(),
      resume: () => pace.resume(),
    })
    const { status, statusText } = response
    try {
      receiver.onHead?.({ status, headers: recordFrom(response.headers), message: statusText, raw: null })
      for (;;) {
        await pace.ready()
        const read = await reader?.read()
        pace.check()
        if (read === undefined || read.done) break
        receiver.onData(bufferOf(read.value))
      }
      receiver.onEnd?.({}, null)
    } catch (error) {
      this.fail(error)
    }
  }

  #receiver(): Receiver {
    const { controller } = this
    const handler = this.#handler
    return {
      onHead({ status, headers, message, raw }) {
        controller.rawHeaders = raw
        if (status >= 200) handler.onResponseStarted?.()
        handler.onResponseStart?.(controller, status, recordOf(headers), message)
      },
      onData: (chunk) => handler.onResponseData?.(controller, chunk),
      onEnd(trailers, raw) {
        controller.rawTrailers = raw
        handler.onResponseEnd?.(controller, trailers)
      },
      onError: (error) => this.fail(error),
    }
  }
}

/** What the platform gives for a reason where the caller has none. */
const aborted = (): DOMException => new DOMException('This operation was aborted', 'AbortError')

/** Readers of undici's bodies count on buffers. */
function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>): Buffer<ArrayBuffer> {
  return Buffer.from(buffer, byteOffset, byteLength)
}
