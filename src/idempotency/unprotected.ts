import { Scope } from '../primitives/signal.ts'
import type { Idempotency } from './context.ts'
import type { HeldResponse } from './held-response.ts'
import type { Settings } from './options.ts'
import { downstreamKeyFrom } from './downstream-key.ts'
import { withTimeout } from './store-calls.ts'
import { TransactionLostError } from './transaction.ts'
import { beginTransaction, workInTime } from './transaction-limits.ts'

/** `Idempotency` for a request without a key, so that a handler need not tell the two apart. */
export class Unprotected implements Idempotency {
  readonly key = undefined
  readonly fence = 0
  readonly #settings: Settings
  readonly #scope = new Scope()
  #id: string | undefined
  #hold: (() => HeldResponse | undefined) | undefined
  #held: HeldResponse | undefined
  readonly #running = new Set<Promise<unknown>>()
  /** Whether the handler has asked for a transaction. */
  used = false
  /** The value of a `fn` whose transaction then failed, and why. */
  #lost: { readonly value: unknown; readonly error: unknown } | undefined

  constructor(settings: Settings) {
    this.#settings = settings
  }

  get signal(): AbortSignal {
    return this.#scope.signal
  }

  began(): void {
    // Nothing is saved for a request without a key, whenever its effects begin.
  }

  /** For frameworks whose handlers send the response themselves: `hold` keeps it back while a transaction runs. */
  holdWith(hold: () => HeldResponse | undefined): void {
    this.#hold = hold
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as the interface has it
  async transaction<T, Client = unknown>(fn: (client: Client) => T | Promise<T>): Promise<T> {
    this.used = true
    this.#held ??= this.#hold?.()
    // The type is the caller's word for what its store hands out.
    const work = this.#perform((client) => fn(client as Client))
    this.#running.add(work)
    let failed = true
    try {
      const value = await work
      failed = false
      return value
    } finally {
      this.#running.delete(work)
      if (failed) this.#held?.discard()
      if (this.#running.size === 0) {
        this.#held?.release()
        this.#held = undefined
      }
    }
  }

  /**
   * For frameworks that send what a handler returns: waits for the transactions that the handler did not await.
   *
   * @throws the error of a transaction that fails now, or of an earlier one whose value is this very `response`
   */
  async committed(response?: unknown): Promise<void> {
    await Promise.all(this.#running)
    if (response !== undefined && this.#lost?.value === response) throw this.#lost.error
  }

  downstreamKey(name: string): string {
    this.#id ??= this.#settings.randomUUID()
    return downstreamKeyFrom(this.#id, name)
  }

  async #perform<T>(fn: (client: unknown) => T | Promise<T>): Promise<T> {
    const transaction = await beginTransaction(this.#settings, undefined)
    if (transaction === 'stale') throw new TypeError('a transaction without a lease can not be stale')
    const { clock, storeTimeoutMs } = this.#settings
    const inTime = (work: () => Promise<void>): Promise<void> => withTimeout(clock, storeTimeoutMs, work)
    const lost = (cause: unknown): Error => {
      const error = new TransactionLostError({ cause })
      this.#scope.abort(error, 'timeout')
      return error
    }
    void transaction.lost?.then(lost)
    let value: T | undefined
    let expired = false
    try {
      value = await workInTime(this.#settings, transaction, fn, (cause) => {
        expired = true
        return lost(cause)
      })
      await inTime(() => transaction.commit())
      return value
    } catch (error) {
      this.#lost = { value, error }
      // A rollback that fails must not hide the error that led here.
      if (!expired) await inTime(() => transaction.rollback()).catch(() => {})
      throw error
    }
  }
}

/** Waits for the open transactions of a request without a key; with a key its `Execution` does that. */
export async function committed(context: Idempotency | undefined): Promise<void> {
  if (context instanceof Unprotected) await context.committed()
}
