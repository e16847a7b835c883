import type { ReadResult } from '../../http/relay.ts'
import type { AbortListener, Scope } from '../../primitives/signal.ts'
import type { Bytes, Controller, DispatchOptions, Head, Sending } from './dispatch.ts'
import type { BodySource } from './lazy-response.ts'
import { EveryHandler } from './every-handler.ts'

/** How much of a body is buffered before anybody reads: a smaller one frees its connection at once. */
const READ_AHEAD_BYTES = 64 * 1024

const END: ReadResult = { done: true, value: undefined }

/** A request while its body is still coming. */
export interface Running {
  exchange: Exchange | undefined
}

/**
 * One request of the fast transport, and the bytes of its response until somebody reads them. It fails as fetch does, or
 * with the scope's reason when that is aborted.
 */
export class Exchange extends EveryHandler implements BodySource, AbortListener {
  onAborted: BodySource['onAborted']
  /** How the response begins. */
  readonly head: Promise<Head>
  /**
   * Holds it until it is over. Then there is nothing to call off, and its error may hold the response: that remembers the
   * stack of whoever aborted it until somebody reads that.
   */
  readonly running: Running = { exchange: this }
  readonly #scope: Scope
  #answer!: (head: Head) => void
  #refuse!: (error: unknown) => void
  #controller: Controller | undefined
  #answered = false
  #chunks: Bytes[] = []
  #unreadBytes = 0
  #ended = false
  #failure: { readonly error: unknown } | undefined
  /** Nobody wants the body. */
  #ignored = false
  /** Set while a reader waits for bytes; the connection is not paused then. */
  #wake: (() => void) | undefined

  constructor(dispatcher: Sending, options: DispatchOptions, scope: Scope) {
    super()
    this.#scope = scope
    this.head = new Promise((resolve, reject) => {
      this.#answer = resolve
      this.#refuse = reject
    })
    if (scope.aborted) this.onAbort(scope)
    else this.#start(dispatcher, options)
  }

  /** Whether all bytes are here. */
  get isComplete(): boolean {
    return this.#ended
  }

  /** Whether somebody waits for bytes. */
  get isAwaited(): boolean {
    return this.#wake !== undefined
  }

  async read(): Promise<ReadResult> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#unreadBytes -= chunk.byteLength
        // A copy, which `slice` of a Buffer is not: streams transfer what they get, and this is a part of undici's own.
        return { done: false, value: new Uint8Array(chunk) }
      }
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#ended) return END
      await this.#more()
    }
  }

  /** The whole body, at once where it is here. */
  whole(): Bytes | Promise<Bytes> {
    return this.#ended ? this.#take() : this.#collect()
  }

  cancel(reason?: unknown): Promise<void> {
    this.ignore()
    this.#stop(reason ?? new DOMException('the body was cancelled', 'AbortError'))
    return Promise.resolve()
  }

  /** Reads the rest of the body and drops it. */
  ignore(): void {
    this.#ignored = true
    this.#chunks = []
    this.#controller?.resume()
  }

  onAbort({ reason }: Scope): void {
    this.#chunks = []
    this.#stop(reason)
    this.onAborted?.(reason)
  }

  protected onStart(controller: Controller): void {
    this.#controller = controller
    if (this.#failure !== undefined) controller.abort(this.#failure.error)
  }

  protected onHead(controller: Controller, head: Head): void {
    this.#controller = controller
    // Informational responses (RFC 9110, 15.2) are not passed on.
    if (head.status < 200) return
    this.#answered = true
    this.#answer(head)
  }

  protected onChunk(controller: Controller, chunk: Bytes): void {
    // undici tells of nothing when it resumes.
    if (this.#ignored || this.#failure !== undefined || chunk.byteLength === 0) return
    this.#chunks.push(chunk)
    this.#unreadBytes += chunk.byteLength
    if (this.#wake !== undefined) this.#wakeUp()
    else if (this.#unreadBytes > READ_AHEAD_BYTES) controller.pause()
  }

  protected onEnd(): void {
    this.#ended = true
    this.#over()
  }

  protected onFailure(cause: unknown): void {
    this.#fail(new TypeError(this.#answered ? 'terminated' : 'fetch failed', { cause }))
  }

  #start(dispatcher: Sending, options: DispatchOptions): void {
    this.#scope.add(this)
    try {
      dispatcher.dispatch(options, this)
    } catch (error) {
      this.onFailure(error)
    }
  }

  #stop(reason: unknown): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#fail(reason)
    this.#controller?.abort(reason)
  }

  #fail(error: unknown): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#failure = { error }
    this.#refuse(error)
    this.#over()
  }

  #over(): void {
    this.running.exchange = undefined
    this.#scope.remove(this)
    this.#wakeUp()
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      this.#controller?.resume()
    })
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Everything that is here. A body of one chunk, as most are, is not copied: nobody but a decoder sees it. */
  #take(): Bytes {
    const chunks = this.#chunks
    this.#chunks = []
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
  }

  async #collect(): Promise<Bytes> {
    while (!this.#ended) {
      if (this.#failure !== undefined) throw this.#failure.error
      await this.#more()
    }
    return this.#take()
  }
}
