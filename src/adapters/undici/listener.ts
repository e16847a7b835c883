import type { AnyHandler, Bytes, Controller, End, Handler, Head, OldHandler } from './dispatch.ts'
import { rawOf, recordOf } from './headers.ts'

/** The caller's handler, whichever undici it was written for. */
export interface Listener {
  onStart(controller: Controller, context: unknown): void
  onHead(controller: Controller, head: Head): void
  onChunk(controller: Controller, chunk: Bytes): void
  onEnd(controller: Controller, end: End): void
  onFailure(controller: Controller, error: unknown): void
}

/**
 * A handler that understands both forms, as those that undici 7 gives an interceptor, is called in the older one: it gets
 * headers as they came over the wire. In the newer form undici would serialize the parsed headers and parse them again,
 * which takes 1.2 of 6 us.
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
    // Informational responses (1xx) never pause: undici ignores the result, and the fetch of undici 7 returns `false`.
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
