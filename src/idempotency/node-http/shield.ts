import type { ServerResponse } from 'node:http'
import { HiddenSocket } from './hidden-socket.ts'

/** What a response says when its client has gone; over HTTP/2 `finish` too, which there stands for every end. */
type EndEvent = 'finish' | 'close'

/**
 * Keeps from a handler that its client is gone: `pipe` would stop and `pipeline` would throw, although the operation goes
 * on and its response is to be recorded. It is told of it once the response is settled, or when it is to clean up.
 */
export class Shield {
  readonly #response: ServerResponse
  readonly #socket: HiddenSocket
  #isUp = true
  /** The client is gone, and the handler is kept from knowing. */
  #destroyed: boolean
  #heldClose = false
  #heldFinish = false

  constructor(response: ServerResponse) {
    this.#response = response
    this.#socket = new HiddenSocket(response)
    this.#destroyed = response.destroyed
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** The handler sees a response whose client is there, from here on. */
  raise(): void {
    this.#response.destroyed = false
  }

  /** @returns whether the handler is kept from an event that the response is about to emit */
  holds(event: unknown): boolean {
    if (!this.#isUp) return false
    if (event === 'finish') {
      this.#heldFinish = true
      return true
    }
    if (event !== 'close') return false
    // Node says so just before; `pipeline` asks.
    this.#response.destroyed = false
    this.#destroyed = true
    this.#heldClose = true
    return true
  }

  hideSocket(): void {
    this.#socket.hide()
  }

  showSocket(): void {
    this.#socket.show()
  }

  /** Does something that needs the socket. */
  shownTo(work: () => unknown): unknown {
    return this.#socket.shownTo(work)
  }

  /** Nothing is held back from here on. */
  lower(): void {
    this.#isUp = false
    this.#socket.show()
  }

  /** What was held back is told now. */
  tell(emit: (event: EndEvent) => unknown): void {
    this.#uncover()
    this.#emitHeld(emit)
  }

  /** The response is what it was before: where nobody has been told yet, it tells by itself. */
  end(): void {
    this.#socket.show()
    this.#uncover()
    if (this.#heldClose && this.#isUp)
      queueMicrotask(() => this.#emitHeld((event) => this.#response.emit(event)))
  }

  #uncover(): void {
    if (this.#destroyed) this.#response.destroyed = true
  }

  #emitHeld(emit: (event: EndEvent) => unknown): void {
    if (this.#heldFinish) emit('finish')
    if (this.#heldClose) emit('close')
  }
}
