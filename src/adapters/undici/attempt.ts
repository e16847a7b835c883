import type { Controller, Dispatch, DispatchOptions, Head, HeaderRecord, RawHeaders } from './dispatch.ts'
import { recordOf, responseHeaders } from './headers.ts'
import { EveryHandler } from './old-handler.ts'

/** Who gets what comes of an attempt. */
export interface Receiver {
  onHead?(head: Head): void
  onData(chunk: Uint8Array<ArrayBuffer>): void
  onEnd?(trailers: HeaderRecord, raw: RawHeaders): void
  onError?(error: unknown): void
}

/** More than this of an unwanted body costs more than another connection. */
const DRAINED_BYTES = 128 * 1024

/** No response with these can have a body. */
const isBodiless = (status: number): boolean => status === 204 || status === 205 || status === 304

/**
 * One attempt on its way. What comes of it waits here until somebody wants it: the caller, a reader of the response's
 * body, or nobody, and then the rest is drained so that the connection can be used again.
 */
export class Attempt extends EveryHandler {
  /** What interceptors below tell of the request: where redirects led it. */
  context: unknown
  readonly #waiting: ((to: Receiver) => void)[] = []
  readonly #onResponse: (response: Response) => void
  readonly #onError: (error: unknown) => void
  /** What steers the request underneath, once there is a connection. */
  #controller: Controller | undefined
  #body: ReadableStream<Uint8Array<ArrayBuffer>> | null = null
  #receiver: Receiver | undefined
  #answered = false
  #paused = true
  #ended = false
  #aborted: { readonly reason: unknown } | undefined

  constructor(onResponse: (response: Response) => void, onError: (error: unknown) => void) {
    super()
    this.#onResponse = onResponse
    this.#onError = onError
  }

  start(dispatch: Dispatch, options: DispatchOptions): void {
    try {
      dispatch(options, this)
    } catch (error) {
      this.onFailure(error)
    }
  }

  /** Whether `response` is the one this attempt has made, and nobody has begun to read it. */
  isWholeIn(response: Response): boolean {
    return this.#receiver === undefined && response.body === this.#body && response.body?.locked !== true
  }

  /** From now on what comes goes to `receiver`, at its pace. */
  passTo(receiver: Receiver): void {
    this.#receiver = receiver
    this.resume()
  }

  pause(): void {
    this.#paused = true
    this.#controller?.pause()
  }

  resume(): void {
    const receiver = this.#receiver
    if (receiver === undefined) return
    this.#paused = false
    try {
      this.#flush()
    } catch (error) {
      // As undici does with a handler that throws.
      if (this.#ended) receiver.onError?.(error)
      else this.abort(error)
    }
    if (!this.#paused && !this.#ended) this.#controller?.resume()
  }

  abort(reason: unknown): void {
    if (this.#ended || this.#aborted !== undefined) return
    this.#aborted = { reason }
    this.#controller?.abort(reason)
  }

  /** Nobody wants what may still come. */
  discard(): void {
    let bytes = 0
    this.#waiting.length = 0
    this.passTo({
      onData: (chunk) => {
        bytes += chunk.byteLength
        if (bytes > DRAINED_BYTES) this.abort(new Error('the body of a discarded response is too long'))
      },
    })
  }

  protected onStart(controller: Controller, context: unknown): void {
    this.#controller = controller
    this.context = context
    if (this.#aborted !== undefined) controller.abort(this.#aborted.reason)
  }

  protected onHead(controller: Controller, head: Head): void {
    this.#controller = controller
    this.#tell((to) => to.onHead?.(head))
    // What comes before the answer (RFC 9110, 15.2) waits with it.
    if (head.status < 200) return
    this.#answered = true
    const bodiless = isBodiless(head.status)
    if (!bodiless) controller.pause()
    this.#body = bodiless ? null : this.#stream()
    this.#onResponse(responseOf(head, this.#body))
  }

  protected onChunk(_controller: Controller, chunk: Uint8Array<ArrayBuffer>): void {
    this.#tell((to) => to.onData(chunk))
  }

  protected onEnd(trailers: HeaderRecord | readonly unknown[], raw: RawHeaders): void {
    this.#ended = true
    this.#tell((to) => to.onEnd?.(recordOf(trailers), raw))
  }

  /** For whoever reads a response instead of passing it on: a rule of the caller's, a cache. */
  #stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    let isRead = false
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: (stream) => {
          if (isRead) return this.resume()
          isRead = true
          this.passTo({
            onData: (chunk) => {
              // What undici tells when it resumes: pausing for nothing would go round in a circle.
              if (chunk.byteLength === 0) return
              this.pause()
              stream.enqueue(chunk)
            },
            onEnd: () => stream.close(),
            onError: (error) => stream.error(error),
          })
        },
        cancel: () => this.discard(),
      },
      { highWaterMark: 0 },
    )
  }

  protected onFailure(error: unknown): void {
    this.#ended = true
    if (!this.#answered) return this.#onError(error)
    if (this.#receiver !== undefined) {
      // It comes at once where somebody listens, whether or not he is ready for more.
      this.#waiting.length = 0
      this.#paused = false
    }
    this.#tell((to) => to.onError?.(error))
  }

  #tell(step: (to: Receiver) => void): void {
    this.#waiting.push(step)
    this.#flush()
  }

  #flush(): void {
    while (!this.#paused && this.#receiver !== undefined) {
      const step = this.#waiting.shift()
      if (step === undefined) return
      step(this.#receiver)
    }
  }
}

function responseOf({ status, headers, message }: Head, body: ReadableStream | null): Response {
  // No response can be constructed with a status outside of these.
  const isKnown = status <= 599
  const init = { status: isKnown ? status : 200, headers: responseHeaders(headers) }
  const response = new Response(body, init)
  if (!isKnown) Object.defineProperty(response, 'status', { value: status })
  if (message !== undefined) Object.defineProperty(response, 'statusText', { value: message })
  return response
}
