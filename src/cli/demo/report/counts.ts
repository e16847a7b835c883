import type { Tally } from '../tally.ts'

/** One column of the table. Durations are in ms of the plan's time: with `--fast` they passed twenty times as fast. */
export interface ColumnReport {
  readonly ordered: number
  /** In the database, and the client knows. */
  readonly confirmed: number
  /** In the database nowhere. */
  readonly lost: number
  /** In the database, but the client never got to know. */
  readonly unsure: number
  /** In the database more than once; whatever else they are. */
  readonly doubled: number
  readonly requests: number
  readonly retries: number
  readonly circuitOpenings: number
  /** Orders that the client's own loop set aside and sent again later. */
  readonly parked: number
  /** How long they were set aside, all together. */
  readonly parkedMs: number
  readonly durationMs: number
}

/** Judges every order by the API's database: `ordered = confirmed + lost + unsure`. */
export function countColumn(
  ordered: number,
  rows: ReadonlyMap<number, number>,
  tally: Tally,
  durationMs: number,
): ColumnReport {
  const numbers = Array.from({ length: ordered }, (_, number) => number)
  const stored = numbers.filter((number) => (rows.get(number) ?? 0) > 0)
  const confirmed = stored.filter((number) => tally.confirmed.has(number)).length
  return {
    ordered,
    confirmed,
    lost: ordered - stored.length,
    doubled: stored.filter((number) => (rows.get(number) ?? 0) > 1).length,
    unsure: stored.length - confirmed,
    requests: tally.requests,
    retries: tally.retries,
    circuitOpenings: tally.circuitOpenings,
    parked: tally.parked,
    parkedMs: Math.round(tally.parkedMs),
    durationMs: Math.round(durationMs),
  }
}
