import { randomUUID } from 'node:crypto'

export type StoreName = 'sqlite' | 'redis' | 'postgres'
export type Policy = 'block' | 'takeover' | 'transaction'

/** One order, and where its first request stands still when its server is struck. */
export interface Case {
  readonly order: string
  readonly store: StoreName
  readonly policy: Policy
  readonly stopAt: string
  readonly leaseMs: number
}

export const casesOf = (
  stores: readonly StoreName[],
  policy: Policy,
  points: readonly string[],
  leaseMs: number,
): readonly Case[] =>
  stores.flatMap((store) => points.map((stopAt) => ({ order: randomUUID(), store, policy, stopAt, leaseMs })))
