import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatted } from '../../bench/kept.ts'
import { markdownTable, withMadePart } from '../../bench/report/markdown.ts'
import { root } from '../package/run.ts'
import { HEAD, rowOf, type Report } from './report.ts'

const PAGE = join(root, 'docs/runtimes.md')
const BEGIN = '<!-- Made by `npm run runtimes -- --keep`. Changes by hand are lost. -->'

/** The documentation's table, made anew. */
export async function renewPage(reports: readonly Report[]): Promise<void> {
  const table = markdownTable(HEAD, reports.map(rowOf))
  writeFileSync(PAGE, await formatted(PAGE, withMadePart(readFileSync(PAGE, 'utf8'), BEGIN, table)))
}
