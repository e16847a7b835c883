import { Scope } from '../primitives/signal.ts'
import { beginTransaction } from './claim.ts'
import type { Idempotency } from './context.ts'
import type { Settings } from './options.ts'
import { downstreamKeyFrom } from './downstream-key.ts'
import { bounded } from './patience.ts'
import { TransactionLostError } from './transaction.ts'
import { workInTime } from './transaction-time.ts'

/** A response that does not leave, although the handler has sent it. */
export interface HeldResponse {
  /** Lets it go, and whatever follows. */
  release(): void
  /** Takes it back: the handler has not responded. */
  discard(): void
}

/** The same surface for a request without a key, so that a handler needs no second way. */
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
  /** What a function resolved to whose transaction then failed, and why. */
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

  /** For frameworks whose handlers can send a response themselves: what keeps it back while a transaction runs. */
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
   * For frameworks that send what a handler has returned: waits for the transactions that it left behind.
   *
   * @throws what failed, where it is too late for the handler to respond otherwise, or where it returned all the same
   * what it had made in the transaction that failed.
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
    const inTime = (work: () => Promise<void>): Promise<void> => bounded(clock, storeTimeoutMs, work)
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
      // The error that led here is the one to be seen.
      if (!expired) await inTime(() => transaction.rollback()).catch(() => {})
      throw error
    }
  }
}

/** Waits for what a request without a key has left to be committed; with a key its execution does that. */
export async function committed(context: Idempotency | undefined): Promise<void> {
  if (context instanceof Unprotected) await context.committed()
}
