import { beginTransaction } from './claim.ts'
import type { Idempotency } from './context.ts'
import type { Settings } from './options.ts'
import { downstreamKeyFrom } from './downstream-key.ts'

/** The same surface for a request without a key, so that a handler needs no second way. */
export class Unprotected implements Idempotency {
  readonly key = undefined
  readonly fence = 0
  readonly #settings: Settings
  #controller: AbortController | undefined
  #id: string | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  began(): void {
    // Nothing is saved for a request without a key, whenever its effects begin.
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as the interface has it
  async transaction<T, Client = unknown>(fn: (client: Client) => T | Promise<T>): Promise<T> {
    const transaction = await beginTransaction(this.#settings, undefined)
    if (transaction === 'stale') throw new TypeError('a transaction without a lease can not be stale')
    try {
      // The type is the caller's word for what its store hands out.
      const value = await fn(transaction.client as Client)
      await transaction.commit()
      return value
    } catch (error) {
      // The error that led here is the one to be seen.
      await transaction.rollback().catch(() => {})
      throw error
    }
  }

  downstreamKey(name: string): string {
    this.#id ??= this.#settings.randomUUID()
    return downstreamKeyFrom(this.#id, name)
  }
}
