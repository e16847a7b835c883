import type { AnyHandler, Controller, Handler, HeaderRecord, OldHandler, RawHeaders } from './dispatch.ts'
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

/** A handler that every undici understands: each calls the methods it knows. */
export function forEveryUndici(handler: Required<Omit<Handler, 'onResponseStarted'>>): AnyHandler {
  let old = new OldController(() => {})
  return {
    onRequestStart: (controller, context) => handler.onRequestStart(controller, context),
    onResponseStart: (...response) => handler.onResponseStart(...response),
    onResponseData: (controller, chunk) => handler.onResponseData(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError(controller, error),
    onConnect(abort, context) {
      old = new OldController(abort)
      handler.onRequestStart(old, context)
    },
    onHeaders(status, raw, resume, message) {
      old.resumeWith = resume
      old.rawHeaders = raw
      handler.onResponseStart(old, status, recordOf(raw), message)
      return !old.paused
    },
    onData(chunk) {
      handler.onResponseData(old, chunk)
      return !old.paused
    },
    onComplete(raw) {
      old.rawTrailers = raw
      // Undici 6 has no trailers where there were none.
      handler.onResponseEnd(old, recordOf(raw ?? []))
    },
    onError: (error) => handler.onResponseError(old, error),
  }
}
