import type { Violation } from '../check/checker.ts'
import type { ShopName } from '../settings.ts'

type Counts = Readonly<Record<string, number>>

/** What one run did and found. */
export interface Report {
  readonly shop: ShopName
  /** With its version. */
  readonly product: string
  readonly mode: 'transactional' | 'lease, block'
  /** A store without fencing, which has to be caught. */
  readonly broken: boolean
  readonly seed: number
  readonly operations: number
  readonly seconds: number
  readonly servers: number
  readonly clients: number
  /** What clients did: requests, operations that were parked, circuits that opened. */
  readonly traffic: Counts
  /** What was told of the operations, one for each time somebody performed one. */
  readonly endings: Counts
  readonly faults: Counts
  readonly kills: Counts
  readonly freezes: Counts
  readonly partitions: Counts
  readonly database: { readonly orders: number; readonly keys: number }
  readonly violations: {
    readonly total: number
    readonly kinds: Counts
    /** The first of them, in words. */
    readonly first: readonly string[]
  }
}

const TOLD = 20

export function tellViolations(found: readonly Violation[]): Report['violations'] {
  const kinds: Record<string, number> = {}
  for (const { kind } of found) kinds[kind] = (kinds[kind] ?? 0) + 1
  return {
    total: found.length,
    kinds,
    first: found.slice(0, TOLD).map(({ kind, what }) => `${kind}: ${what}`),
  }
}

export const sum = (counts: Counts): number =>
  Object.values(counts).reduce((total, count) => total + count, 0)
