import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FormatConfig } from 'oxfmt'
import { root } from './harness/machine.ts'
import type { Result } from './harness/result.ts'
import { aims } from './report/aims.ts'
import { lineOf } from './report/figures.ts'
import { renderPage } from './report/page.ts'
import { isDrawn, pictureName } from './report/pictures.ts'

const FOLDER = join(root, 'bench/results')
export const PAGE: string = join(root, 'docs/benchmarks.md')
const PICTURES = join(root, 'docs/benchmarks')

/** Results for the page are kept in the repository; those of quick runs are not, unless a file is named. */
export function fileOf({ bench, quick, machine }: Result): string {
  const folder = quick ? join(root, '.cache/bench-results') : FOLDER
  return join(folder, `node-${lineOf(machine.node)}`, `${bench}.json`)
}

/** The results of the repository, each line of Node in the order of `benches`. */
export function keptResults(benches: readonly string[]): Result[] {
  if (!existsSync(FOLDER)) throw new Error('bench/results is empty: run a benchmark first')
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Result)
    .sort((a, b) => benches.indexOf(a.bench) - benches.indexOf(b.bench))
}

export async function keep(file: string, result: unknown): Promise<void> {
  await writeFormatted(file, JSON.stringify(result, rounded))
}

/** Nobody needs the tenth digit of a measurement. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value

export async function writePage(benches: readonly string[]): Promise<void> {
  const results = keptResults(benches)
  await writeFormatted(PAGE, renderPage(results, aims))
  rmSync(PICTURES, { recursive: true, force: true })
  mkdirSync(PICTURES, { recursive: true })
  const { chartOf } = await import('./report/chart.ts')
  for (const result of results)
    for (const section of result.sections.filter(isDrawn))
      writeFileSync(join(PICTURES, pictureName(result, section)), chartOf(section))
}

async function writeFormatted(file: string, text: string): Promise<void> {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, await formatted(file, text))
}

/** As `npm run format` would leave it. */
export async function formatted(file: string, text: string): Promise<string> {
  const config = JSON.parse(readFileSync(join(root, '.oxfmtrc.json'), 'utf8')) as FormatConfig
  const { format } = await import('oxfmt')
  const { code, errors } = await format(file, text, config)
  if (errors.length > 0) throw new Error(`${file} cannot be formatted: ${errors[0]?.message}`)
  return code
}
