import type {
  AnyHandler,
  Controller,
  Handler,
  Head,
  HeaderRecord,
  OldHandler,
  RawHeaders,
} from './dispatch.ts'
import { rawOf, recordOf } from './headers.ts'

/** A caller's handler, of whichever undici, as one of undici 7. */
export function asHandler(handler: AnyHandler): Handler {
  return typeof handler.onRequestStart === 'function' ? handler : new Translated(handler)
}

class Translated implements Handler {
  readonly #handler: OldHandler

  constructor(handler: OldHandler) {
    this.#handler = handler
  }

  onRequestStart(controller: Controller, context: unknown): void {
    this.#handler.onConnect?.((reason) => controller.abort(reason), context)
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  onResponseStart(controller: Controller, status: number, headers: HeaderRecord, message?: string): void {
    const raw = rawOf(controller.rawHeaders, headers)
    const answer = this.#handler.onHeaders?.(status, raw, () => controller.resume(), message)
    if (answer === false) controller.pause()
  }

  onResponseData(controller: Controller, chunk: Uint8Array<ArrayBuffer>): void {
    if (this.#handler.onData?.(chunk) === false) controller.pause()
  }

  onResponseEnd(controller: Controller, trailers: HeaderRecord): void {
    this.#handler.onComplete?.(rawOf(controller.rawTrailers, trailers))
  }

  onResponseError(_controller: Controller, error: unknown): void {
    this.#handler.onError?.(error)
  }
}

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

  protected abstract onStart(controller: Controller, context: unknown): void
  protected abstract onHead(controller: Controller, head: Head): void
  protected abstract onChunk(controller: Controller, chunk: Uint8Array<ArrayBuffer>): void
  protected abstract onEnd(trailers: HeaderRecord | readonly unknown[], raw: RawHeaders): void
  protected abstract onFailure(error: unknown): void

  onRequestStart(controller: Controller, context: unknown): void {
    this.onStart(controller, context)
  }

  onResponseStart(controller: Controller, status: number, headers: HeaderRecord, message?: string): void {
    this.onHead(controller, { status, headers, message, raw: controller.rawHeaders })
  }

  onResponseData(controller: Controller, chunk: Uint8Array<ArrayBuffer>): void {
    this.onChunk(controller, chunk)
  }

  onResponseEnd(controller: Controller, trailers: HeaderRecord): void {
    this.onEnd(trailers, controller.rawTrailers)
  }

  onResponseError(_controller: Controller, error: unknown): void {
    this.onFailure(error)
  }

  onConnect(abort: (reason?: unknown) => void, context?: unknown): void {
    this.#old = new OldController(abort)
    this.onStart(this.#old, context)
  }

  onHeaders(status: number, raw: readonly unknown[], resume: () => void, message?: string): boolean {
    const old = this.#oldController()
    old.resumeWith = resume
    this.onHead(old, { status, headers: raw, message, raw })
    return !old.paused
  }

  onData(chunk: Uint8Array<ArrayBuffer>): boolean {
    const old = this.#oldController()
    this.onChunk(old, chunk)
    return !old.paused
  }

  onComplete(raw: readonly unknown[] | null): void {
    // Undici 6 has no trailers where there were none.
    this.onEnd(raw ?? [], raw)
  }

  onError(error: unknown): void {
    this.onFailure(error)
  }

  /** Somebody's dispatcher may answer without having connected. */
  #oldController(): OldController {
    return (this.#old ??= new OldController(() => {}))
  }
}

/** A handler of one undici, told by another. */
export class RelayHandler extends EveryHandler {
  readonly #to: Handler
  #controller: Controller | undefined

  constructor(handler: AnyHandler) {
    super()
    this.#to = asHandler(handler)
  }

  protected onStart(controller: Controller, context: unknown): void {
    this.#controller = controller
    this.#to.onRequestStart?.(controller, context)
  }

  protected onHead(controller: Controller, { status, headers, message, raw }: Head): void {
    controller.rawHeaders = raw
    if (status >= 200) this.#to.onResponseStarted?.()
    this.#to.onResponseStart?.(controller, status, recordOf(headers), message)
  }

  protected onChunk(controller: Controller, chunk: Uint8Array<ArrayBuffer>): void {
    this.#to.onResponseData?.(controller, chunk)
  }

  protected onEnd(trailers: HeaderRecord | readonly unknown[], raw: RawHeaders): void {
    const controller = this.#started()
    controller.rawTrailers = raw
    this.#to.onResponseEnd?.(controller, recordOf(trailers))
  }

  protected onFailure(error: unknown): void {
    this.#to.onResponseError?.(this.#started(), error)
  }

  /** What fails before it has begun has nothing to steer. */
  #started(): Controller {
    return (this.#controller ??= new OldController(() => {}))
  }
}
