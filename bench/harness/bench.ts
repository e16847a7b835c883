import type { Progress } from './progress.ts'
import type { Section } from './result.ts'

/** What one may ask for on the command line. */
export interface Settings {
  readonly rounds: number
  readonly calls: number
  readonly quick: boolean
  readonly random: () => number
}

export type RunBench = (settings: Settings, progress: Progress) => Promise<Section[]>

/** How much is done by default. */
export interface Amount {
  readonly full: number
  readonly quick: number
}

/** A benchmark: one command, one file of results, one part of the page. */
export interface Bench {
  readonly name: string
  readonly what: string
  /** How long it takes, in words. */
  readonly takes: string
  /** How often everything is measured; left out where measuring again gives the same. */
  readonly rounds?: Amount
  /** How many calls it makes, where that can be chosen. */
  readonly calls?: Amount
  /** Its code is loaded when it runs: what another benchmark imports would be in this one's heap. */
  readonly load: () => Promise<{ readonly run: RunBench }>
}
