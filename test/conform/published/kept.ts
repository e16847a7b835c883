import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, type Machine } from '../../../bench/harness/machine.ts'
import { formatted, keep } from '../../../bench/kept.ts'
import { withMadePart } from '../../../bench/report/markdown.ts'
import type { ConformanceReport } from '../../../src/testing/index.ts'
import { renderPart } from './part.ts'

/** What one layer did. */
export interface Verdict extends Pick<ConformanceReport, 'rows' | 'summary'> {
  readonly library: string
  readonly store: string
}

export interface KeptRun {
  /** ISO 8601, in UTC. */
  readonly date: string
  /** With the versions of the installed packages. */
  readonly machine: Machine
  readonly verdicts: readonly Verdict[]
}

export const PAGE: string = join(root, 'docs/conform.md')
const FILE = join(root, 'test/conform/published/results.json')
const BEGIN =
  '<!-- Made by `npm run conform:published` from test/conform/published/results.json. Changes by hand are lost. -->'

export const keptRun = (): KeptRun => JSON.parse(readFileSync(FILE, 'utf8')) as KeptRun

export const renewedPage = (page: string): Promise<string> =>
  formatted(PAGE, withMadePart(page, BEGIN, renderPart(keptRun())))

export async function keepRun(run: KeptRun): Promise<void> {
  await keep(FILE, run)
  writeFileSync(PAGE, await renewedPage(readFileSync(PAGE, 'utf8')))
}
