import { invalidOption } from '../../primitives/validate.ts'
import { settle, type ConformanceOptions } from './options.ts'
import { summarize, type ConformanceReport } from './report.ts'
import { Failed, Inconclusive } from './failure.ts'
import type { ConformanceLevel } from './row.ts'
import { rows } from './rows/index.ts'
import { notBlackBox } from './rows/not-black-box.ts'
import { Suite, type ConformanceResult } from './suite.ts'

export {
  conformanceFixture,
  type ConformanceFixture,
  type FixtureAnswer,
  type FixtureRequest,
} from './fixture.ts'
export { CONFORMANCE_DEFAULTS, type ConformanceOptions, type HeaderFields } from './options.ts'
export type { ConformanceReport, ConformanceSummary } from './report.ts'
export { ConformanceSetupError } from './failure.ts'
export type { ConformanceLevel } from './row.ts'
export type { UnseenRow } from './rows/not-black-box.ts'
export type { ConformanceResult } from './suite.ts'

/** A row of the conformance table, as a test for any test runner. */
export interface ConformanceTest {
  readonly id: string
  readonly level: ConformanceLevel
  /** `D5 MUST: a key is not taken for another body`. */
  readonly name: string
  /**
   * Rejects where the API does not do it, with what was sent, expected and got; where it was too slow to tell; and with
   * a `ConformanceSetupError` where nothing could be run. Resolves with `pass`, or with `skipped` and the reason.
   */
  readonly run: () => Promise<ConformanceResult>
}

/**
 * What an API does that honours `Idempotency-Key`, seen from outside, as tests for any test runner. The API serves the
 * fixture at `url`, which nobody else asks meanwhile. Node only.
 *
 * @throws HoldfastError `ERR_INVALID_OPTION`, with the value it got.
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 * @example
 * for (const { name, run } of conformance({ url: 'http://127.0.0.1:3000' })) test(name, run)
 */
export function conformance(options: ConformanceOptions): readonly ConformanceTest[] {
  const suite = new Suite(settle(options))
  return rows.map((row) => ({
    id: row.id,
    level: row.level,
    name: `${row.id} ${row.level}: ${row.title}`,
    async run() {
      const result = await suite.check(row)
      if (result.result === 'fail') throw new Failed(result.detail)
      if (result.result === 'inconclusive') throw new Inconclusive(result.detail)
      return result
    },
  }))
}

export interface ConformanceReportOptions extends ConformanceOptions {
  /** Only the rows of these ids, such as `['D5', 'P1']`; what they need is run, but not reported. Default: all. */
  only?: readonly string[]
  /** Told of each row before it is run. */
  onRow?: (row: {
    readonly id: string
    readonly title: string
    readonly number: number
    readonly of: number
  }) => void
}

/**
 * Runs the whole table and tells what became of each row.
 *
 * @throws HoldfastError `ERR_INVALID_OPTION`; ConformanceSetupError where nothing could be run.
 */
export async function conformanceReport(options: ConformanceReportOptions): Promise<ConformanceReport> {
  const { only, onRow, ...rest } = options
  const settings = settle(rest)
  const asked = chosen(only)
  const suite = new Suite(settings)
  await suite.probe()
  const results: ConformanceResult[] = []
  for (const [index, row] of asked.entries()) {
    onRow?.({ id: row.id, title: row.title, number: index + 1, of: asked.length })
    results.push(await suite.check(row))
  }
  const unseen = notBlackBox.filter(({ id }) => only === undefined || only.includes(id))
  return { url: settings.url, rows: results, notBlackBox: unseen, summary: summarize(results, unseen) }
}

function chosen(only: readonly string[] | undefined): typeof rows {
  if (only === undefined) return rows
  const known = [...rows, ...notBlackBox].map(({ id }) => id)
  const unknown = only.find((id) => !known.includes(id))
  if (unknown !== undefined) throw invalidOption('only', `made of ${known.join(', ')}`, unknown)
  const asked = rows.filter(({ id }) => only.includes(id))
  // An API of which nothing was asked would conform.
  if (asked.length === 0)
    throw invalidOption('only', 'at least one row that can be told from outside', only.join())
  return asked
}
