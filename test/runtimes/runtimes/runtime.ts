import type { CaseResult } from '../cases/case.ts'
import type { Origins } from '../world.ts'

/** One place that the suite runs in. */
export interface Runtime {
  /** As `--only` names it. */
  readonly name: string
  readonly title: string
  /** Whether a run on CI fails without it. */
  readonly required: boolean
  /** Brings it here, if it isn't; what it throws is one line: what is missing, and how to get it. */
  obtain(): Promise<Installed>
}

export interface Installed {
  readonly version: string
  /** How many results there will be. */
  readonly total: number
  /** Runs the suite; hands out each result as it comes. */
  run(suite: SuiteRun): Promise<void>
  /** Serves what `servers/frameworks.ts` has until `use` has ended, and tells it where. Nothing where there are no such servers. */
  readonly serve?: (signal: AbortSignal, use: (urls: Urls) => Promise<void>) => Promise<void>
}

/** Where each framework is served. */
export type Urls = Readonly<Record<string, string>>

export interface SuiteRun {
  readonly origins: Origins
  readonly onResult: (result: CaseResult) => void
  readonly signal: AbortSignal
}

/** A runtime that is not here and can't be had. */
export class MissingRuntime extends Error {
  override readonly name = 'MissingRuntime'
}
