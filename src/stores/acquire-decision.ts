import type { AcquireRequest, AcquireResult } from '../idempotency/store.ts'

/** One remembered key, for stores that decide in this process (memory, SQLite). Times are on the store's clock, in ms. */
export interface KeyRecord {
  readonly state: 'active' | 'done' | 'released'
  readonly fingerprint: string
  readonly owner: string
  readonly fence: number
  readonly leaseUntilMs: number
  readonly expiresMs: number
  readonly response: Uint8Array | undefined
}

/** An answer, or `take`: the key is free, and the store has to write a record with this fence. */
export type Decision = AcquireResult | { readonly type: 'take'; readonly fence: number }

/**
 * What an acquire comes to. The order matters: an expired or released record is free; a mismatch is told before
 * anything else about the record; a recorded response is given whether or not its owner still lives.
 */
export function decide(record: KeyRecord | undefined, request: AcquireRequest, nowMs: number): Decision {
  if (record === undefined) return { type: 'take', fence: 1 }
  const take: Decision = { type: 'take', fence: record.fence + 1 }
  if (record.expiresMs <= nowMs || record.state === 'released') return take
  if (record.fingerprint !== request.fingerprint) return { type: 'mismatch' }
  if (record.response !== undefined) return { type: 'done', response: record.response }
  if (record.owner === request.owner) return { type: 'acquired', fence: record.fence }
  if (record.leaseUntilMs > nowMs) return { type: 'busy', retryAfterMs: record.leaseUntilMs - nowMs }
  return request.abandoned === 'takeover' ? take : { type: 'abandoned' }
}

/**
 * When a record may be forgotten: at the end of its window, but not before `leaseMs` have passed since it was completed
 * or, while it is in progress, since its lease ran out.
 */
export function expiryMs(windowEndMs: number, sinceMs: number, leaseMs: number): number {
  return Math.max(windowEndMs, sinceMs + leaseMs)
}

/** How long a scope that was found full counts as full without another look, in ms: other processes make room, too. */
export const FULL_FOR_MS = 60_000
