import { pairedRatios, spreadOf } from '../harness/arithmetic.ts'
import { idOf, type Comparison, type Facts, type Result, type Row, type Unit } from '../harness/result.ts'
import type { Aim } from './aims.ts'
import { figure, lineOf } from './figures.ts'
import { doesPartOf, relative } from './losses.ts'
import { markdownTable } from './markdown.ts'

/** A figure that an aim is held to. */
interface Reached {
  readonly value: number
  readonly unit: Unit
  /** Whom it is compared with, where that was looked for. */
  readonly than?: string
}

/** A table: each aim, and for each line of Node what came of it. Fails for an aim whose figure is not there. */
export function renderAims(aims: readonly Aim[], results: readonly Result[]): string {
  const lines = [...new Set(results.map(({ machine }) => lineOf(machine.node)))].sort((a, b) => a - b)
  const rows = aims.map((aim) => [aim.what, ...lines.map((line) => cell(aim, results, line))])
  return markdownTable(['Aim', ...lines.map((line) => `Node ${line}`)], rows)
}

/** Empty where a line of Node was not asked: sizes are the same on each. */
function cell(aim: Aim, results: readonly Result[], line: number): string {
  const result = results.find(({ bench, machine }) => bench === aim.bench && lineOf(machine.node) === line)
  if (result === undefined) return ''
  const limit = typeof aim.limit === 'number' ? aim.limit : aim.limit[line]
  if (limit === undefined) throw new Error(`${aim.what}: no limit for Node ${line}`)
  return aim.tables.map((title) => told(aim, result, title, limit)).join('; ')
}

function told(aim: Aim, result: Result, title: string, limit: number): string {
  const { value, unit, than } = reachedBy(aim, result, title, aim.row)
  const isReached = aim.isRate === true ? value >= limit : value <= limit
  const shown = `**${besideLimit(value, unit, limit)}** ${isReached ? 'yes' : 'no'}`
  const hand = aim.limitRow === undefined ? undefined : reachedBy(aim, result, title, aim.limitRow)
  const notes = [
    ...(than === undefined ? [] : [`of ${than}`]),
    ...(hand === undefined ? [] : [`limit ${shownAs(hand.value, hand.unit)}`]),
  ]
  return notes.length === 0 ? shown : `${shown} (${notes.join(', ')})`
}

/** With one more digit where the figure would look like the limit that it just misses, or just keeps. */
function besideLimit(value: number, unit: Unit, limit: number): string {
  const isClose = unit === 'x' && value !== limit && value.toFixed(2) === limit.toFixed(2)
  return isClose ? value.toFixed(3) : shownAs(value, unit)
}

const shownAs = (value: number, unit: Unit): string =>
  unit === 'x' ? figure(value, unit) : `${figure(value, unit)} ${unit}`

function reachedBy(aim: Aim, { sections, bench }: Result, title: string, row: string): Reached {
  const section = sections.find((each) => each.title === title)
  if (section === undefined || section.kind === 'growth') throw new Error(`${bench} has no table "${title}"`)
  const reached = section.kind === 'facts' ? ofFacts(section, aim, row) : ofComparison(section, aim, row)
  return aim.isRate === true ? { ...reached, value: 1 / reached.value } : reached
}

function ofFacts({ title, columns, rows }: Facts, { column }: Aim, id: string): Reached {
  const index = columns.findIndex(({ head }) => head === column)
  const unit = columns[index]?.unit
  const value = found(title, rows, id).values[index]
  if (unit === undefined || value === undefined || value === null)
    throw new Error(`${title}: ${id} has no "${column}"`)
  return { value, unit }
}

function ofComparison({ title, unit, rows }: Comparison, aim: Aim, id: string): Reached {
  const row = found(title, rows, id)
  if (aim.by === 'itself') return { value: row.value.median, unit }
  if (aim.by === 'baseline') return { value: row.ratio.median, unit: 'x' }
  const peer = bestPeer(found(title, rows, aim.row), rows)
  return { value: ratioTo(row, peer), unit: 'x', than: idOf(peer) }
}

function found<T extends Parameters<typeof idOf>[0]>(title: string, rows: readonly T[], id: string): T {
  const row = rows.find((each) => idOf(each) === id)
  if (row === undefined) throw new Error(`${title}: there is no row "${id}"`)
  return row
}

/** The one that we are least ahead of. */
function bestPeer(own: Row, rows: readonly Row[]): Row {
  const peers = rows.filter(({ library }) => library !== 'holdfast').filter((peer) => doesPartOf(peer, own))
  const [best] = peers.toSorted((a, b) => ratioTo(own, b) - ratioTo(own, a))
  if (best === undefined) throw new Error(`${idOf(own)} has no peer`)
  return best
}

const ratioTo = (row: Row, other: Row): number =>
  spreadOf(pairedRatios(relative(row), relative(other))).median
