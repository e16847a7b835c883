import { pairedRatios, spreadOf, type Spread } from './arithmetic.ts'
import type { Machine } from './machine.ts'
import type { Ability } from './subject.ts'

/** What a benchmark found, as it is kept in a file. */
export interface Result {
  readonly bench: string
  readonly what: string
  /** ISO 8601, in UTC. */
  readonly date: string
  /** A short run: good enough to see that it works, not to quote. */
  readonly quick: boolean
  readonly seed: number
  readonly machine: Machine
  readonly sections: readonly Section[]
}

export type Section = Comparison | Growth | Facts

export type Unit = 'ns' | 'us' | 'ms' | 'B' | 'MiB' | '%' | 'x' | '/s'

/** What was seen of each subject: figures of several kinds, which no baseline divides. */
export interface Facts {
  readonly kind: 'facts'
  readonly title: string
  readonly note: string
  readonly columns: readonly FactColumn[]
  readonly rows: readonly Fact[]
  /** How it went over time, to be drawn. */
  readonly course?: Course
}

export interface FactColumn {
  readonly head: string
  readonly unit: Unit
  /** What is to be wished for. Default: neither. */
  readonly best?: 'least' | 'most'
}

export interface Fact extends Pick<Measured, 'library' | 'name'> {
  /** One for each column; `null` where there is none. */
  readonly values: readonly (number | null)[]
}

export interface Course {
  /** What the axes show. */
  readonly x: string
  readonly y: string
  readonly lines: readonly CourseLine[]
}

export interface CourseLine extends Pick<Measured, 'library' | 'name'> {
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** Ways to do a thing, each beside the baseline. */
export interface Comparison {
  readonly kind: 'comparison'
  readonly title: string
  /** What a reader has to know to read the figures. */
  readonly note: string
  readonly unit: Unit
  /** The id of the row that all others are divided by. */
  readonly baseline: string
  readonly rows: readonly Row[]
}

export interface Row extends Measured {
  readonly value: Spread
  /** To the baseline, round by round. */
  readonly ratio: Spread
}

export interface Measured {
  readonly library: string
  readonly name: string
  readonly has: readonly Ability[]
  /** One value for each round; a single one where measuring again gives the same. */
  readonly samples: readonly number[]
  /** The baseline's of the same rounds, where this was measured beside a baseline of its own. */
  readonly beside?: readonly number[]
  /** Allocated on the heap by one call. */
  readonly bytes?: Spread
  /** What else there is to say of it. */
  readonly remark?: string
}

/** Whether something that should stay flat does. */
export interface Growth {
  readonly kind: 'growth'
  readonly title: string
  readonly note: string
  readonly checkpoints: readonly Checkpoint[]
  readonly bytesPerCall: number
  readonly limitBytesPerCall: number
  /** What grows, a sentence each; nothing where all is flat. */
  readonly grows: readonly string[]
}

export interface Checkpoint {
  readonly calls: number
  /** After a collection. */
  readonly heapBytes: number
  /** What keeps the event loop alive: timers, handles, requests. */
  readonly resources: number
  /** Abort listeners on the signal that all calls share. */
  readonly listeners: number
  readonly circuits: number
}

export const idOf = ({ library, name }: Pick<Measured, 'library' | 'name'>): string => `${library} ${name}`

interface Table {
  readonly title: string
  readonly note: string
  readonly unit: Unit
  readonly baseline: Pick<Measured, 'library' | 'name'>
  readonly measured: readonly Measured[]
}

export function comparison({ title, note, unit, baseline, measured }: Table): Comparison {
  const base = measured.find((one) => idOf(one) === idOf(baseline))
  if (base === undefined) throw new Error(`${title}: the baseline ${idOf(baseline)} was not measured`)
  const rows = measured.map((one): Row => {
    const ratio = spreadOf(pairedRatios(one.samples, one.beside ?? base.samples))
    return { ...one, value: spreadOf(one.samples), ratio }
  })
  return { kind: 'comparison', title, note, unit, baseline: idOf(base), rows }
}
