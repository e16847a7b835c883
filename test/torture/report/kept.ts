import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatted } from '../../../bench/kept.ts'
import { withMadePart } from '../../../bench/report/markdown.ts'
import { root, type Machine } from '../../../bench/harness/machine.ts'
import { SHOPS, type ShopName } from '../settings.ts'
import { renderPart } from './page.ts'
import type { Report } from './report.ts'

export interface KeptReport extends Report {
  /** ISO 8601, in UTC. */
  readonly date: string
  readonly machine: Machine
}

export const PAGE: string = join(root, 'docs/torture.md')

const fileOf = (shop: ShopName): string => join(root, 'test/torture/results', `${shop}.json`)

export function keptReports(): KeptReport[] {
  return SHOPS.map(fileOf)
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as KeptReport)
}

export async function keepReport(report: KeptReport): Promise<void> {
  const file = fileOf(report.shop)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, await formatted(file, JSON.stringify(report)))
}

const BEGIN =
  '<!-- Made by `npm run torture -- --keep` from test/torture/results. Changes by hand are lost. -->'
/** The page with its made part made anew from the kept reports; the rest stays as it is. */
export function renewedPage(page: string): Promise<string> {
  return formatted(PAGE, withMadePart(page, BEGIN, renderPart(keptReports())))
}

export async function renewPage(): Promise<void> {
  writeFileSync(PAGE, await renewedPage(readFileSync(PAGE, 'utf8')))
}
