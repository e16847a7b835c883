import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatted } from '../../bench/kept.ts'
import { markdownTable, withMadePart } from '../../bench/report/markdown.ts'
import { root } from '../package/run.ts'
import { HEAD, rowOf, serverHead, serverRows, type Report } from './report.ts'

const PAGE = join(root, 'docs/runtimes.md')
const BEGIN = '<!-- Made by `npm run runtimes -- --keep`. Changes by hand are lost. -->'

/** The documentation's tables, made anew. */
export async function renewPage(reports: readonly Report[]): Promise<void> {
  const client = markdownTable(HEAD, reports.map(rowOf))
  const servers = markdownTable(serverHead(reports), serverRows(reports))
  const tables = `### The client\n\n${client}\n\n### The server half\n\n${servers}`
  writeFileSync(PAGE, await formatted(PAGE, withMadePart(readFileSync(PAGE, 'utf8'), BEGIN, tables)))
}
