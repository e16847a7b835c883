/** The page and the dashboard, against the table of what is measured. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  CLIENT_INSTRUMENTS,
  SERVER_INSTRUMENTS,
  type Instrument,
} from '../../src/telemetry/measure/instruments.ts'
import { prometheusName, snake } from '../../src/telemetry/prometheus/names.ts'

const read = (path: string): string => readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8')
const instruments: readonly Instrument[] = [
  ...Object.values(CLIENT_INSTRUMENTS),
  ...Object.values(SERVER_INSTRUMENTS),
]

interface Panel {
  readonly type: string
  readonly title: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}
const { panels } = JSON.parse(read('grafana/holdfast.json')) as { readonly panels: readonly Panel[] }
const targets = panels.flatMap((panel) => panel.targets ?? [])

/** The metrics that a query reads, without what a histogram puts behind its name. */
const metricsIn = (expr: string): string[] =>
  (expr.match(/\b(?:holdfast|http)_(?:client|server)_\w+/g) ?? []).map((name) =>
    name.replace(/_(?:bucket|count|sum)$/, ''),
  )

test('the page lists every metric, with its kind and attributes', () => {
  const rows = instruments.map(({ name, kind, description, attributes }) => {
    const names = attributes.map((each) => `\`${each}\``).join(', ')
    return `| \`${name}\` | ${kind} | ${description} | ${names} |`
  })
  const page = read('telemetry.md').replaceAll(/ +/g, ' ')
  const table = page.slice(page.indexOf('<!-- metrics -->'), page.indexOf('<!-- /metrics -->'))
  expect(table.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows)
})

describe('the dashboard', () => {
  test('reads metrics that there are, and all of them', () => {
    const known = instruments.map(prometheusName)
    const used = new Set(targets.flatMap(({ expr }) => metricsIn(expr)))
    expect([...used].filter((name) => !known.includes(name))).toEqual([])
    expect(known.filter((name) => !used.has(name))).toEqual([])
  })

  test.each(targets)('asks for labels that the metric has: $expr', ({ expr, legendFormat }) => {
    const labels = instruments
      .filter((instrument) => metricsIn(expr).includes(prometheusName(instrument)))
      .flatMap(({ attributes }) => attributes.map(snake))
    const grouped = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? []
    const selected = [...expr.matchAll(/[{,](\w+)=/g)].map(([, label]) => label ?? '')
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label ?? '')
    for (const label of [...grouped, ...selected, ...shown]) expect([...labels, 'le']).toContain(label)
    const closed = expr.match(/[)}\]]/g)?.length
    expect(expr.match(/[({[]/g)?.length).toBe(closed)
  })
})
