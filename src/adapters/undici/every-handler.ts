import type { AnyHandler, Bytes, Controller, End, Head, HeaderRecord, RawHeaders } from './dispatch.ts'

/**
 * Steers a request of undici 6, whose handlers pause it by returning `false`.
 *
 * @param abort - Aborts it. Default: nothing, for a request that has not begun.
 */
export class OldController implements Controller {
  aborted = false
  paused = false
  reason: unknown
  rawHeaders: RawHeaders
  rawTrailers: RawHeaders
  resumeWith: (() => void) | undefined
  readonly #abort: (reason?: unknown) => void

  constructor(abort: (reason?: unknown) => void = () => {}) {
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
 * A handler for every version of undici: each calls the methods it knows. A class, so that no closures are made for each
 * request, and headers are only parsed when somebody reads them.
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
   * With pipelining undici repeats the requests that shared a connection with an aborted one, even where a response has
   * begun: two responses would be taken for one. Throwing ends the request, as in undici's own handlers.
   */
  #refuseAnother(): void {
    if (this.#isAnswered) throw new Error('the connection was lost after the response had begun')
  }

  /** A mocked dispatcher may answer without calling `onConnect`. */
  #oldController(): OldController {
    return (this.#old ??= new OldController())
  }
}
