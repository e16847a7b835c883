import { createStamp } from '../primitives/stamp.ts'

/** What a handler learns about the request it handles, and what it can say. */
export interface Idempotency {
  /** The key, without quotes; `undefined` where the request has none or its method is not protected. */
  readonly key: string | undefined
  /**
   * Grows with every owner of the key, from 1; 0 without a key. A service behind this one that remembers the highest
   * it has seen can refuse a slow predecessor. After the window, `ttlMs`, it may start again.
   */
  readonly fence: number
  /**
   * Aborts when the key was taken over by another request, the database has ended the transaction, or that took longer
   * than `transactionTimeoutMs`: what this one does no longer counts.
   */
  readonly signal: AbortSignal
  /** To be called before the first effect: from here on every ending is saved, and nothing runs the handler again. */
  began(): void
  /**
   * Runs `fn` in the transaction that completes the record: both take effect, or neither does. It commits as soon as
   * `fn` has resolved and the response is known: return the `Response` from `fn`, or end the Node response inside it,
   * and that is at once; otherwise it stays open until the handler has responded. Nothing is sent before. A throw in
   * `fn` rolls back and gives the key back.
   *
   * Without a key there is nothing to record, and it commits when `fn` has resolved. A response that was made inside
   * waits for that; where the commit fails it is taken back, and this rejects with the store's error.
   *
   * `fn` may take `transactionTimeoutMs`. Then nothing of it is committed, and this rejects; it is rolled back as soon as
   * `fn` has ended.
   *
   * @param fn - gets the store's client: for `sqliteStore` a `SqliteDatabase`.
   * @throws what `fn` throws; a `TypeError` when the store has no transactions; a
   * `TransactionLostError` when the key was lost, or the time is over.
   */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- inferred from how the caller annotates `client`
  transaction<T, Client = unknown>(fn: (client: Client) => T | Promise<T>): Promise<T>
  /**
   * A key for a call to another service: the same whenever this request is tried again, after the window too, and
   * unlike any other's.
   */
  downstreamKey(name: string): string
}

const attached = createStamp<Idempotency>()

/** For framework adapters: makes `idempotencyOf(request)` find `context`. */
export function attach(request: object, context: Idempotency): void {
  attached.set(request, context)
}

/** For framework adapters: the context of a request that may have come past `idempotency()`. */
export function contextOf(request: unknown): Idempotency | undefined {
  return attached.get(request)
}

/**
 * What `idempotency()` knows of a request: of a web `Request`, or of a framework's own.
 *
 * @throws {TypeError} when the request did not come through `idempotency()`
 */
export function idempotencyOf(request: object): Idempotency {
  const context = attached.get(request)
  if (context === undefined) {
    throw new TypeError('idempotencyOf(request): this request did not come through idempotency()')
  }
  return context
}
