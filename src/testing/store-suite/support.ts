import type { AcquireRequest, IdempotencyStore } from '../../idempotency/store.ts'
import { assertEqual } from './assertions.ts'

/** A fresh, empty store and the means to let its time pass. */
export interface StoreUnderTest {
  readonly store: IdempotencyStore
  /** Lets `ms` pass on the store's own clock, to the millisecond. */
  readonly advance: (ms: number) => void | Promise<void>
  /** Called when the case has ended, however it ended. */
  readonly dispose?: () => void | Promise<void>
}

/** What a handler does in the store's own database, inside a transaction. */
export interface StoreEffects {
  /** Inside a transaction, with the `client` that it hands out. */
  readonly add: (client: unknown, effect: string) => void | Promise<void>
  /** As `add`, and in a way that makes the commit fail, and only the commit: by a deferred constraint, say. */
  readonly addDoomed: (client: unknown, effect: string) => void | Promise<void>
  /** What everybody else sees, in the order of its adding. */
  readonly list: () => Promise<readonly string[]>
}

/** A store with `begin`. */
export interface TransactionalStoreUnderTest extends StoreUnderTest {
  readonly effects: StoreEffects
}

/** A case every store has to pass: it rejects when the store fails it. */
export interface StoreCase {
  readonly name: string
  readonly run: (subject: StoreUnderTest) => Promise<void>
}

export const LEASE_MS = 100
export const TTL_MS = 1000

let owners = 0

/** What is asked in a case, each time by another owner. */
export function ask(overrides: Partial<AcquireRequest> = {}): AcquireRequest {
  owners++
  return {
    scope: 'client',
    key: 'key',
    fingerprint: 'what was asked',
    owner: `owner-${owners}`,
    leaseMs: LEASE_MS,
    ttlMs: TTL_MS,
    abandoned: 'block',
    maxKeysPerScope: 1000,
    ...overrides,
  }
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** @returns The fence. */
export async function acquired(store: IdempotencyStore, request: AcquireRequest): Promise<number> {
  const result = await store.acquire(request)
  assertEqual(result.type, 'acquired', 'acquire')
  return result.type === 'acquired' ? result.fence : 0
}

export async function completed(
  store: IdempotencyStore,
  request: AcquireRequest,
  response = 'done',
): Promise<void> {
  await acquired(store, request)
  assertEqual(await store.complete(request, bytes(response)), 'completed', 'complete')
}

export async function assertRecorded(store: IdempotencyStore, response: string): Promise<void> {
  const result = await store.acquire(ask())
  assertEqual(result.type, 'done', 'acquire')
  if (result.type === 'done') assertEqual(new TextDecoder().decode(result.response), response, 'recorded')
}
