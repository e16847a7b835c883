/** One at a time, in the order of arrival. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve()

  /** Waits for its turn; the returned function ends it. */
  lock(): Promise<() => void> {
    let unlock = (): void => {}
    const turn = new Promise<void>((resolve) => {
      unlock = resolve
    })
    const ready = this.#tail.then(() => unlock)
    this.#tail = this.#tail.then(() => turn)
    return ready
  }

  async run<T>(work: () => T | Promise<T>): Promise<T> {
    const unlock = await this.lock()
    try {
      return await work()
    } finally {
      unlock()
    }
  }
}
