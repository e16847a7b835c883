import type { ConformanceResult } from './suite.ts'
import type { UnseenRow } from './rows/not-black-box.ts'

export interface ConformanceSummary {
  readonly passed: number
  /** MUST rows that failed. */
  readonly failed: number
  /** MUST rows that could not be run, since a row they need failed. */
  readonly blocked: number
  /** Rows of any level that told nothing, since the API or this machine was too slow. */
  readonly inconclusive: number
  /** SHOULD rows that failed. */
  readonly warnings: number
  /** MAY rows that failed. */
  readonly notOffered: number
  /** Skipped for another reason: the API does not offer what they are about. */
  readonly skipped: number
  readonly notBlackBox: number
  /** No MUST row failed, was blocked or told nothing. */
  readonly conforms: boolean
}

export interface ConformanceReport {
  readonly url: string
  readonly rows: readonly ConformanceResult[]
  /** The rows of the table that can't be told from outside. */
  readonly notBlackBox: readonly UnseenRow[]
  readonly summary: ConformanceSummary
}

export function summarize(
  rows: readonly ConformanceResult[],
  notBlackBox: readonly UnseenRow[],
): ConformanceSummary {
  const count = (matches: (row: ConformanceResult) => boolean): number => rows.filter(matches).length
  const failures = (level: string): number => count((row) => row.result === 'fail' && row.level === level)
  const failed = failures('MUST')
  const blocked = count(({ level, blockedBy }) => level === 'MUST' && blockedBy !== undefined)
  const unshown = count(({ level, result }) => level === 'MUST' && result === 'inconclusive')
  return {
    passed: count(({ result }) => result === 'pass'),
    failed,
    blocked,
    inconclusive: count(({ result }) => result === 'inconclusive'),
    warnings: failures('SHOULD'),
    notOffered: failures('MAY'),
    skipped: count(({ result }) => result === 'skipped') - blocked,
    notBlackBox: notBlackBox.length,
    conforms: failed + blocked + unshown === 0,
  }
}
