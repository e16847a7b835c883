import type { AnyHandler, Bytes, Controller, End, Head } from './dispatch.ts'
import { EveryHandler, OldController } from './every-handler.ts'
import { listenerOf, type Listener } from './listener.ts'

/** Calls a handler of one version of undici from a dispatcher of another. */
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

  /** A request that fails before it has begun has no controller. */
  get #started(): Controller {
    return (this.#controller ??= new OldController())
  }
}
