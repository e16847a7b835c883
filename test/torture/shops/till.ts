import type { IdempotencyStore, Lease } from '../../../src/idempotency/store.ts'
import type { ServerConfig } from '../server/messages.ts'

/** One order: which operation it belongs to, and the mark of the run of the handler that made it. */
export interface Order {
  readonly operation: number
  readonly mark: string
}

/** What a server process needs of its database: a store of keys, and a place for orders. */
export interface Till {
  readonly store: IdempotencyStore
  /** Orders and keys change in one transaction; else the order is an effect of its own, and keys are leases. */
  readonly transactional: boolean
  /** Writes an order, once: it is never sent again by itself. `client` is the transaction's. */
  enter(order: Order, client: unknown): Promise<unknown>
  /** Makes the caller the owner of a key that may be another's. Only a broken store does that. */
  seize(lease: Lease): Promise<void>
}

export async function openTill(config: ServerConfig): Promise<Till> {
  if (config.shop === 'postgres') return (await import('./postgres-till.ts')).postgresTill(config)
  if (config.shop === 'redis') return (await import('./redis-till.ts')).redisTill(config)
  return (await import('./sqlite-till.ts')).sqliteTill(config)
}
