/** Makes a sender wait while its reader has paused. */
export class Pace {
  #held: { readonly over: Promise<void>; readonly end: () => void } | undefined
  #aborted: { readonly reason: unknown } | undefined

  pause(): void {
    // A handler may ask for a pause of what it has just aborted.
    if (this.#held !== undefined || this.#aborted !== undefined) return
    let end = (): void => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#held = { over, end }
  }

  resume(): void {
    this.#held?.end()
    this.#held = undefined
  }

  abort(reason: unknown): void {
    this.#aborted = { reason }
    this.resume()
  }

  /** @throws the reason of the abort */
  async ready(): Promise<void> {
    while (this.#held !== undefined) await this.#held.over
    this.check()
  }

  check(): void {
    if (this.#aborted !== undefined) throw this.#aborted.reason
  }
}
