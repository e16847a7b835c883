import type { AcquireRequest, AcquireResult } from '../idempotency/store.ts'

/** One remembered key, as stores that decide in this process see it. Times are the store's own, in ms. */
export interface KeyRecord {
  readonly state: 'active' | 'done' | 'released'
  readonly fingerprint: string
  readonly owner: string
  readonly fence: number
  readonly leaseUntilMs: number
  readonly expiresMs: number
  readonly response: Uint8Array | undefined
}

export type Decision = AcquireResult | { readonly type: 'take'; readonly fence: number }

/**
 * What an acquire finds, in the order that matters: an expired or released record is free, another request under the
 * same key is told so before anything else, a response outlives its owner.
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

/** How long a scope that was found full is taken for full, in ms: another process may have made room meanwhile. */
export const FULL_FOR_MS = 60_000
