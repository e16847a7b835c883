import type { AbortListener, Scope } from '../../primitives/signal.ts'
import { AttemptBody } from './attempt-body.ts'
import type { Bytes, Controller, Dispatch, DispatchOptions, End, Head, Receiver } from './dispatch.ts'
import { isUnread, lazyResponse, type Provenance } from './lazy-response.ts'
import { EveryHandler } from './old-handler.ts'

/** More than this of an unwanted body costs more than another connection. */
const DRAINED_BYTES = 128 * 1024

/** As much of a body is taken in before anybody wants it: to stop a connection for less costs more than the bytes. */
const READ_AHEAD_BYTES = 64 * 1024

/** No response with these can have a body. */
const isBodiless = (status: number): boolean => status === 204 || status === 205 || status === 304

/** What the pipeline sees of a failure to connect that has another's name; the caller gets its cause. */
export class Unconnected extends Error {
  readonly code = 'ECONNREFUSED'

  constructor(cause: unknown) {
    super('no connection was made', { cause })
  }
}

/** Nothing is known of the way to it. */
const HERE: Provenance = { url: '', redirected: false, type: 'default' }

/**
 * One attempt on its way. What comes of it waits here until somebody wants it: the caller, a reader of the response's
 * body, or nobody, and then the rest is drained so that the connection can be used again.
 */
export class Attempt extends EveryHandler implements AbortListener {
  /** What interceptors below tell of the request: where redirects led it. */
  context: unknown
  /** What the pipeline sees of the answer. */
  readonly response: Promise<Response>
  /** The one that was sent before it. */
  readonly before: Attempt | undefined
  readonly #scope: Scope
  #answer!: (response: Response) => void
  #refuse!: (error: unknown) => void
  /** What steers the request underneath, once there is a connection. */
  #controller: Controller | undefined
  #response: Response | undefined
  #receiver: Receiver | undefined
  /** What waits: the answer, with what came before it (RFC 9110, 15.2); bytes; how it ended. */
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
    // All of it is here already, for a receiver who wants no more of it.
    this.#heads = this.#chunks = this.#end = this.#failure = undefined
    queueMicrotask(() => this.#receiver?.onError?.(reason))
  }

  onAbort({ reason }: Scope): void {
    this.abort(reason)
  }

  /** Nobody wants what may still come. */
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

  /** What nobody wants and has still not come keeps its connection no longer: it may never come. */
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
    this.#response = lazyResponse(head, isBodiless(head.status) ? null : new AttemptBody(this), HERE)
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
    // It comes at once where somebody listens, whether or not he is ready for more.
    this.#heads = this.#chunks = undefined
    this.#receiver.onError?.(error)
  }

  /** undici tells as an abort, too, that a proxy has made no tunnel: then nobody has aborted, and nothing has left. */
  #isUnsent(error: unknown): boolean {
    const { name } = Object(error) as { readonly name?: unknown }
    return name === 'AbortError' && this.#controller === undefined && this.#aborted === undefined
  }

  /** Whether somebody has been told how it ended. */
  get #isTold(): boolean {
    return this.#ended && this.#end === undefined && this.#failure === undefined
  }

  /** Who gets what comes now, at once. */
  get #ready(): Receiver | undefined {
    return this.#paused ? undefined : this.#receiver
  }

  #close(): void {
    this.#ended = true
    this.#scope.remove(this)
  }

  /** Passes on what waits, until `receiver` has enough. Each is taken before it is told: telling may come back here. */
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
