import type {
  AnyHandler,
  Bytes,
  Controller,
  End,
  Handler,
  Head,
  HeaderRecord,
  OldHandler,
  RawHeaders,
} from './dispatch.ts'
import { rawOf, recordOf } from './headers.ts'

/** Whoever is told of a response, in the form of his own undici. */
export interface Listener {
  onStart(controller: Controller, context: unknown): void
  onHead(controller: Controller, head: Head): void
  onChunk(controller: Controller, chunk: Bytes): void
  onEnd(controller: Controller, end: End): void
  onFailure(controller: Controller, error: unknown): void
}

/**
 * What undici 7 gives an interceptor understands both forms, and in the older one headers stay as they came: in the newer
 * one it writes out what was parsed, to parse it again, which takes 1.2 of 6 us.
 */
export function listenerOf(handler: AnyHandler): Listener {
  return typeof handler.onHeaders === 'function' ? new OldListener(handler) : new NewListener(handler)
}

class NewListener implements Listener {
  readonly #handler: Handler

  constructor(handler: Handler) {
    this.#handler = handler
  }

  onStart(controller: Controller, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context)
  }

  onHead(controller: Controller, { status, headers, message, raw }: Head): void {
    controller.rawHeaders = raw
    if (status >= 200) this.#handler.onResponseStarted?.()
    this.#handler.onResponseStart?.(controller, status, recordOf(headers), message)
  }

  onChunk(controller: Controller, chunk: Bytes): void {
    this.#handler.onResponseData?.(controller, chunk)
  }

  onEnd(controller: Controller, { trailers, raw }: End): void {
    controller.rawTrailers = raw
    this.#handler.onResponseEnd?.(controller, recordOf(trailers))
  }

  onFailure(controller: Controller, error: unknown): void {
    this.#handler.onResponseError?.(controller, error)
  }
}

class OldListener implements Listener {
  readonly #handler: OldHandler

  constructor(handler: OldHandler) {
    this.#handler = handler
  }

  onStart(controller: Controller, context: unknown): void {
    this.#handler.onConnect?.((reason) => controller.abort(reason), context)
  }

  onHead(controller: Controller, { status, headers, message, raw }: Head): void {
    if (status >= 200) this.#handler.onResponseStarted?.()
    const resume = (): void => controller.resume()
    const wanted = this.#handler.onHeaders?.(status, rawOf(raw, headers), resume, message)
    // What comes before the answer holds nothing up: undici does not look, and the fetch of undici 7 returns `false`.
    if (wanted === false && status >= 200) controller.pause()
  }

  onChunk(controller: Controller, chunk: Bytes): void {
    if (this.#handler.onData?.(chunk) === false) controller.pause()
  }

  onEnd(_controller: Controller, { trailers, raw }: End): void {
    this.#handler.onComplete?.(rawOf(raw, trailers))
  }

  onFailure(_controller: Controller, error: unknown): void {
    this.#handler.onError?.(error)
  }
}

const ignore = (): void => {}

/** Steers a request of undici 6, which takes what its handler returns for a sign to wait. */
class OldController implements Controller {
  aborted = false
  paused = false
  reason: unknown
  rawHeaders: RawHeaders
  rawTrailers: RawHeaders
  resumeWith: (() => void) | undefined
  readonly #abort: (reason?: unknown) => void

  constructor(abort: (reason?: unknown) => void) {
    this.#abort = abort
  }

  abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.#abort(reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.resumeWith?.()
  }
}

/**
 * A handler that every undici understands: each calls the methods it knows. A class, not an object of closures made for
 * each request, and it leaves headers as they came until somebody reads them.
 */
export abstract class EveryHandler implements AnyHandler {
  #old: OldController | undefined
  #isAnswered = false

  protected abstract onStart(controller: Controller, context: unknown): void
  protected abstract onHead(controller: Controller, head: Head): void
  protected abstract onChunk(controller: Controller, chunk: Bytes): void
  protected abstract onEnd(end: End): void
  protected abstract onFailure(error: unknown): void

  onRequestStart(controller: Controller, context: unknown): void {
    this.#refuseAnother()
    this.onStart(controller, context)
  }

  onResponseStart(controller: Controller, status: number, headers: HeaderRecord, message?: string): void {
    this.#isAnswered ||= status >= 200
    this.onHead(controller, { status, headers, message, raw: controller.rawHeaders })
  }

  onResponseData(controller: Controller, chunk: Bytes): void {
    this.onChunk(controller, chunk)
  }

  onResponseEnd(controller: Controller, trailers: HeaderRecord): void {
    this.onEnd({ trailers, raw: controller.rawTrailers })
  }

  onResponseError(_controller: Controller, error: unknown): void {
    this.onFailure(error)
  }

  onConnect(abort: (reason?: unknown) => void, context?: unknown): void {
    this.#refuseAnother()
    this.#old = new OldController(abort)
    this.onStart(this.#old, context)
  }

  onHeaders(status: number, raw: readonly unknown[], resume: () => void, message?: string): boolean {
    const old = this.#oldController()
    old.resumeWith = resume
    this.#isAnswered ||= status >= 200
    this.onHead(old, { status, headers: raw, message, raw })
    return !old.paused
  }

  onData(chunk: Bytes): boolean {
    const old = this.#oldController()
    this.onChunk(old, chunk)
    return !old.paused
  }

  onComplete(raw: readonly unknown[] | null): void {
    // Undici 6 has no trailers where there were none.
    this.onEnd({ trailers: raw ?? [], raw })
  }

  onError(error: unknown): void {
    this.onFailure(error)
  }

  /**
   * With pipelining undici sends again what shared a connection with a request that was called off, also where the answer
   * has begun: two of them would be taken for one. What is thrown here ends the request, as undici's own handlers do it.
   */
  #refuseAnother(): void {
    if (this.#isAnswered) throw new Error('the connection was lost after the response had begun')
  }

  /** Somebody's dispatcher may answer without having connected. */
  #oldController(): OldController {
    return (this.#old ??= new OldController(ignore))
  }
}

/** A handler of one undici, told by another. */
export class RelayHandler extends EveryHandler {
  readonly #to: Listener
  #controller: Controller | undefined

  constructor(handler: AnyHandler) {
    super()
    this.#to = listenerOf(handler)
  }

  protected onStart(controller: Controller, context: unknown): void {
    this.#controller = controller
    this.#to.onStart(controller, context)
  }

  protected onHead(controller: Controller, head: Head): void {
    this.#controller = controller
    this.#to.onHead(controller, head)
  }

  protected onChunk(controller: Controller, chunk: Bytes): void {
    this.#to.onChunk(controller, chunk)
  }

  protected onEnd(end: End): void {
    this.#to.onEnd(this.#started, end)
  }

  protected onFailure(error: unknown): void {
    this.#to.onFailure(this.#started, error)
  }

  /** What fails before it has begun has nothing to steer. */
  get #started(): Controller {
    return (this.#controller ??= new OldController(ignore))
  }
}
