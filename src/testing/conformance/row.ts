import type { Api } from './api.ts'
import type { Settings } from './options.ts'

/**
 * As in RFC 2119. What the draft recommends or describes without one of these words is a SHOULD; what an API may offer
 * and say so is a MAY.
 */
export type ConformanceLevel = 'MUST' | 'SHOULD' | 'MAY'

/** A row of the conformance table, seen from outside: it throws `Failed` or `Skipped` (failure.ts), or passes. */
export interface Row {
  readonly id: string
  readonly level: ConformanceLevel
  readonly title: string
  /** Rows without which this one would tell nothing. */
  readonly needs?: readonly string[]
  /** Why the API does not offer what the row is about, as far as the options tell. */
  readonly missing?: (settings: Settings) => string | undefined
  readonly run: (api: Api) => Promise<void>
}
