import { isNullBodyStatus } from '../../primitives/null-body-status.ts'
import type { AbortListener, Scope } from '../../primitives/signal.ts'
import { AttemptBody } from './attempt-body.ts'
import type { Bytes, Controller, Dispatch, DispatchOptions, End, Head, Receiver } from './dispatch.ts'
import { isUnread, lazyResponse, type Provenance } from './lazy-response.ts'
import { EveryHandler } from './every-handler.ts'

/** An unwanted body is read up to this length, so that its connection can be reused; a new one is cheaper than more. */
const DRAINED_BYTES = 128 * 1024

/** How much of a body is buffered before anybody reads: pausing a connection for less costs more than the bytes. */
const READ_AHEAD_BYTES = 64 * 1024

/** A failure to connect that undici reports by another error: to the pipeline it is one; the caller gets the `cause`. */
export class Unconnected extends Error {
  readonly code = 'ECONNREFUSED'

  constructor(cause: unknown) {
    super('no connection was made', { cause })
  }
}

/** A dispatcher tells neither the final URL nor whether it followed redirects. */
const UNKNOWN_PROVENANCE: Provenance = { url: '', redirected: false, type: 'default' }

/**
 * One attempt. Its response is buffered here until it is known who takes it: the caller's handler, a reader of the body,
 * or nobody; then the rest is drained, so that the connection can be reused.
 */
export class Attempt extends EveryHandler implements AbortListener {
  /** undici's context of the request, in which interceptors below report, for example, the redirects they followed. */
  context: unknown
  /** What the pipeline sees of the answer. */
  readonly response: Promise<Response>
  /** The one that was sent before it. */
  readonly before: Attempt | undefined
  readonly #scope: Scope
  #answer!: (response: Response) => void
  #refuse!: (error: unknown) => void
  /** undici's controller of the request, once there is a connection. */
  #controller: Controller | undefined
  #response: Response | undefined
  #receiver: Receiver | undefined
  /** What is buffered: heads, with informational ones (RFC 9110, 15.2) first; bytes; how it ended. */
  #heads: Head[] | undefined
  #chunks: Bytes[] | undefined
  #end: End | undefined
  #failure: { readonly error: unknown } | undefined
  #waitingBytes = 0
  #paused = false
  #ended = false
  #aborted: { readonly reason: unknown } | undefined
  #isUnwanted = false

  constructor(dispatch: Dispatch, options: DispatchOptions, scope: Scope, before: Attempt | undefined) {
    super()
    this.#scope = scope
    this.before = before
    this.response = new Promise((resolve, reject) => {
      this.#answer = resolve
      this.#refuse = reject
    })
    before?.cutOff()
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

  /** Gives everything that is buffered, and what comes from now on, to `receiver`, at its pace. */
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
      this.#pass(receiver)
    } catch (error) {
      // As undici does with a handler that throws.
      if (this.#isTold) receiver.onError?.(error)
      else this.abort(error)
    }
    if (!this.#paused && !this.#ended) this.#controller?.resume()
  }

  abort(reason: unknown): void {
    if (this.#aborted !== undefined || this.#isTold) return
    this.#aborted = { reason }
    if (!this.#ended) return this.#controller?.abort(reason)
    // Everything is buffered already, and the receiver wants no more of it.
    this.#heads = this.#chunks = this.#end = this.#failure = undefined
    queueMicrotask(() => this.#receiver?.onError?.(reason))
  }

  onAbort({ reason }: Scope): void {
    this.abort(reason)
  }

  /** Nobody wants the rest: it is read and dropped, up to `DRAINED_BYTES`. */
  discard(): void {
    let bytes = 0
    this.#isUnwanted = true
    this.#chunks = undefined
    this.passTo({
      onData: (chunk) => {
        bytes += chunk.byteLength
        if (bytes > DRAINED_BYTES) this.abort(new Error('the body of a discarded response is too long'))
      },
    })
  }

  /** Ends a discarded body that has still not arrived: it may never come, and would keep its connection. */
  cutOff(): void {
    if (this.#isUnwanted) this.abort(new Error('the body of a discarded response takes too long'))
  }

  protected onStart(controller: Controller, context: unknown): void {
    this.#controller = controller
    this.context = context
    if (this.#aborted !== undefined) controller.abort(this.#aborted.reason)
  }

  protected onHead(controller: Controller, head: Head): void {
    this.#controller = controller
    if (this.#heads === undefined) this.#heads = [head]
    else this.#heads.push(head)
    if (head.status < 200) return
    const body = isNullBodyStatus(head.status) ? null : new AttemptBody(this)
    this.#response = lazyResponse(head, body, UNKNOWN_PROVENANCE)
    this.#answer(this.#response)
  }

  protected onChunk(controller: Controller, chunk: Bytes): void {
    const receiver = this.#ready
    if (receiver !== undefined) return receiver.onData(chunk)
    if (this.#chunks === undefined) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
    this.#waitingBytes += chunk.byteLength
    if (this.#receiver === undefined && this.#waitingBytes > READ_AHEAD_BYTES) controller.pause()
  }

  protected onEnd(end: End): void {
    this.#close()
    const receiver = this.#ready
    if (receiver === undefined) this.#end = end
    else receiver.onEnd?.(end)
  }

  protected onFailure(error: unknown): void {
    this.#close()
    if (this.#response === undefined)
      return this.#refuse(this.#isUnsent(error) ? new Unconnected(error) : error)
    if (this.#receiver === undefined) {
      this.#failure = { error }
      return
    }
    // A failure is passed on at once, even while the receiver has paused.
    this.#heads = this.#chunks = undefined
    this.#receiver.onError?.(error)
  }

  /** undici also reports a proxy that made no tunnel as an abort: nobody has aborted then, and nothing was sent. */
  #isUnsent(error: unknown): boolean {
    const { name } = Object(error) as { readonly name?: unknown }
    return name === 'AbortError' && this.#controller === undefined && this.#aborted === undefined
  }

  /** Whether the end has been passed on. */
  get #isTold(): boolean {
    return this.#ended && this.#end === undefined && this.#failure === undefined
  }

  /** Who takes what arrives now, without buffering. */
  get #ready(): Receiver | undefined {
    return this.#paused ? undefined : this.#receiver
  }

  #close(): void {
    this.#ended = true
    this.#scope.remove(this)
  }

  /** Passes on what is buffered until `receiver` pauses. Items are removed first, since the receiver may call back here. */
  #pass(receiver: Receiver): void {
    while (!this.#paused) {
      const head = this.#heads?.shift()
      const chunk = head === undefined ? this.#chunks?.shift() : undefined
      if (head !== undefined) receiver.onHead?.(head)
      else if (chunk !== undefined) receiver.onData(chunk)
      else return this.#passEnd(receiver)
    }
  }

  #passEnd(receiver: Receiver): void {
    const end = this.#end
    const failure = this.#failure
    this.#end = this.#failure = undefined
    if (end !== undefined) receiver.onEnd?.(end)
    if (failure !== undefined) receiver.onError?.(failure.error)
  }
}
