import { conformanceReport, type ConformanceReport } from '../../../src/testing/index.ts'

/** What came of one framework. */
export interface ServerResult {
  readonly framework: string
  /** How many rows of the table it passes, of how many that it has to or should. */
  readonly passed: number
  readonly of: number
  /** What was wrong, a line each. */
  readonly troubles: readonly string[]
}

/** Two clients by their credentials, one of which begins with the other. */
const PRINCIPALS = [{ authorization: 'Basic a:' }, { authorization: 'Basic a' }] as const

/** Long enough to overlap on a busy machine, and a quarter of what a user's API is asked for by default. */
const DELAY_MS = 100

/** Holds each server against the conformance table, from outside. */
export async function conformAll(
  urls: Readonly<Record<string, string>>,
  onFramework: (framework: string) => void,
): Promise<readonly ServerResult[]> {
  const results: ServerResult[] = []
  for (const [framework, url] of Object.entries(urls)) {
    onFramework(framework)
    const report = await conformanceReport({ url, principals: PRINCIPALS, delayMs: DELAY_MS })
    results.push({ framework, ...judged(report) })
  }
  return results
}

/** A row that asks for another set-up is skipped, one that is a MAY counts for nothing. */
function judged({ rows }: ConformanceReport): Omit<ServerResult, 'framework'> {
  const passed = rows.filter(({ result }) => result === 'pass').length
  const wrong = rows.filter(
    ({ result, level, blockedBy }) =>
      result === 'inconclusive' || blockedBy !== undefined || (result === 'fail' && level !== 'MAY'),
  )
  const troubles = wrong.map(({ id, title, detail }) => `${id}: ${title}: ${detail}`)
  return { passed, of: passed + wrong.length, troubles }
}
