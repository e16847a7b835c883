import type { ServerResponse } from 'node:http'

/**
 * Tells a handler that its response has been sent, while a transaction keeps it back: it leaves after the commit, and
 * the commit comes after the handler. Who waits inside for the end of what he sends would wait for ever.
 */
export class FeignedEnd {
  readonly #response: ServerResponse
  readonly #outside: ReadonlySet<unknown>

  /** Whoever listens already belongs to the outside, and is told when it is true. */
  constructor(response: ServerResponse) {
    this.#response = response
    this.#outside = new Set(response.rawListeners('finish'))
  }

  /** @param callback what the handler gave to `end` */
  tell(callback: (() => void) | undefined): void {
    // As late as Node: nobody is called back before `end` has returned.
    queueMicrotask(() => {
      callback?.()
      for (const listener of this.#response.rawListeners('finish')) this.#tellOne(listener)
    })
  }

  #tellOne(listener: Function): void {
    if (this.#outside.has(listener)) return
    // Else it would be told again by what is really sent.
    this.#response.off('finish', listener as () => void)
    Reflect.apply(listener, this.#response, [])
  }
}
