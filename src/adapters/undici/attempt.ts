import type { ByteSource, ReadResult } from '../../http/relay.ts'
import type { AbortListener, Scope } from '../../signal.ts'
import type { Controller, Dispatch, DispatchOptions, Head, HeaderRecord, RawHeaders } from './dispatch.ts'
import { recordOf } from './headers.ts'
import { isUnread, lazyResponse, type Provenance } from './lazy-response.ts'
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

/** As much of a body is taken in before anybody wants it: to stop a connection for less costs more than the bytes. */
const READ_AHEAD_BYTES = 64 * 1024

/** No response with these can have a body. */
const isBodiless = (status: number): boolean => status === 204 || status === 205 || status === 304

/** Nothing is known of the way to it. */
const HERE: Provenance = { url: '', redirected: false, type: 'default' }

const END: ReadResult = { done: true, value: undefined }

/**
 * One attempt on its way. What comes of it waits here until somebody wants it: the caller, a reader of the response's
 * body, or nobody, and then the rest is drained so that the connection can be used again.
 */
export class Attempt extends EveryHandler implements AbortListener {
  /** What interceptors below tell of the request: where redirects led it. */
  context: unknown
  /** What the pipeline sees of the answer. */
  readonly response: Promise<Response>
  readonly #scope: Scope
  readonly #waiting: ((to: Receiver) => void)[] = []
  #waitingBytes = 0
  #answer!: (response: Response) => void
  #refuse!: (error: unknown) => void
  /** What steers the request underneath, once there is a connection. */
  #controller: Controller | undefined
  #response: Response | undefined
  #receiver: Receiver | undefined
  #paused = true
  #ended = false
  #aborted: { readonly reason: unknown } | undefined

  constructor(dispatch: Dispatch, options: DispatchOptions, scope: Scope) {
    super()
    this.#scope = scope
    this.response = new Promise((resolve, reject) => {
      this.#answer = resolve
      this.#refuse = reject
    })
    if (scope.aborted) this.onAbort(scope)
    scope.add(this)
    try {
      dispatch(options, this)
    } catch (error) {
      this.onFailure(error)
    }
  }

  /** Whether `response` is the one this attempt has made, and nobody has begun to read it. */
  isWholeIn(response: Response): boolean {
    return this.#receiver === undefined && response === this.#response && isUnread(response)
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

  onAbort({ reason }: Scope): void {
    this.abort(reason)
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
    this.#response = lazyResponse(head, isBodiless(head.status) ? null : new AttemptBody(this), HERE)
    this.#answer(this.#response)
  }

  protected onChunk(controller: Controller, chunk: Uint8Array<ArrayBuffer>): void {
    if (this.#receiver === undefined) {
      this.#waitingBytes += chunk.byteLength
      if (this.#waitingBytes > READ_AHEAD_BYTES) controller.pause()
    }
    this.#tell((to) => to.onData(chunk))
  }

  protected onEnd(trailers: HeaderRecord | readonly unknown[], raw: RawHeaders): void {
    this.#end()
    this.#tell((to) => to.onEnd?.(recordOf(trailers), raw))
  }

  protected onFailure(error: unknown): void {
    this.#end()
    if (this.#response === undefined) return this.#refuse(error)
    if (this.#receiver !== undefined) {
      // It comes at once where somebody listens, whether or not he is ready for more.
      this.#waiting.length = 0
      this.#paused = false
    }
    this.#tell((to) => to.onError?.(error))
  }

  #end(): void {
    this.#ended = true
    this.#scope.remove(this)
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

/** For whoever reads a response instead of passing it on: a rule of the caller's, a cache. */
class AttemptBody implements ByteSource {
  readonly #attempt: Attempt
  #isRead = false
  #resolve: (result: ReadResult) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(attempt: Attempt) {
    this.#attempt = attempt
  }

  read(): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      if (this.#isRead) return this.#attempt.resume()
      this.#isRead = true
      this.#attempt.passTo({
        onData: (chunk) => {
          // What undici tells when it resumes: pausing for nothing would go round in a circle.
          if (chunk.byteLength === 0) return
          this.#attempt.pause()
          this.#resolve({ done: false, value: new Uint8Array(chunk) })
        },
        onEnd: () => this.#resolve(END),
        onError: (error) => this.#reject(error),
      })
    })
  }

  async cancel(): Promise<void> {
    this.#attempt.discard()
  }
}
