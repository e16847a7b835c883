import type { ServerResponse } from 'node:http'

/**
 * Tells a handler in a transaction that its response has been sent, although it is held back until the commit. The
 * commit waits for the handler, so a handler that waits for `finish` would wait for ever.
 */
export class SimulatedFinish {
  readonly #response: ServerResponse
  readonly #outsideListeners: ReadonlySet<unknown>

  /** Listeners that are there already belong to middleware outside, and are called when the response is really sent. */
  constructor(response: ServerResponse) {
    this.#response = response
    this.#outsideListeners = new Set(response.rawListeners('finish'))
  }

  /** Calls the handler's callback and `finish` listeners. @param callback - what the handler gave to `end` */
  finish(callback: (() => void) | undefined): void {
    // As in Node, not before `end` has returned.
    queueMicrotask(() => {
      callback?.()
      for (const listener of this.#response.rawListeners('finish')) this.#call(listener)
    })
  }

  #call(listener: Function): void {
    if (this.#outsideListeners.has(listener)) return
    // Otherwise it would be called once more when the response is really sent.
    this.#response.off('finish', listener as () => void)
    Reflect.apply(listener, this.#response, [])
  }
}
