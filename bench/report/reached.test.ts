import { describe, expect, test } from 'vitest'
import { comparison, type Facts, type Measured, type Result, type Section } from '../harness/result.ts'
import type { Aim } from './aims.ts'
import { renderAims } from './reached.ts'

const measured = (library: string, name: string, samples: number[], has: Measured['has'] = []): Measured => ({
  library,
  name,
  has,
  samples,
})

const bare = measured('none', 'bare', [10, 20])
const one = comparison({
  title: 'One',
  note: '',
  unit: 'ns',
  baseline: bare,
  measured: [
    bare,
    measured('none', 'by hand', [11, 22]),
    measured('holdfast', 'both', [12, 24], ['retry', 'breaker']),
    measured('holdfast', 'retry', [6, 12], ['retry']),
    measured('ky', 'slow', [40, 80], ['retry']),
    measured('ky', 'quick', [8, 16], ['retry']),
    measured('ky', 'more', [1, 2], ['retry', 'keys']),
  ],
})
const facts: Facts = {
  kind: 'facts',
  title: 'Added',
  note: '',
  columns: [
    { head: 'CPU', unit: 'x' },
    { head: 'time', unit: 'x' },
  ],
  rows: [
    { library: 'holdfast', name: 'fast', values: [0.5, 0.25] },
    { library: 'none', name: 'nothing', values: [0.5, null] },
  ],
}

const result = (node: string, ...sections: Section[]): Result => ({
  bench: 'policies',
  what: '',
  date: '2026-11-25T12:00:00.000Z',
  quick: false,
  seed: 1,
  machine: { node, platform: '', cpu: '', cores: 2, memoryGiB: 8, commit: '', versions: {} },
  sections,
})

const AIM: Aim = {
  what: 'Quick',
  bench: 'policies',
  tables: ['One'],
  row: 'holdfast both',
  by: 'itself',
  limit: 18,
}

const told = (aim: Partial<Aim>, ...results: Result[]): string[] => {
  const given = results.length === 0 ? [result('v20.1.0', one, facts)] : results
  const [row] = renderAims([{ ...AIM, ...aim }], given)
    .split('\n')
    .slice(2)
  return (row ?? '')
    .split('|')
    .slice(2, -1)
    .map((cell) => cell.trim())
}

describe('what came of an aim', () => {
  test('is its own figure, and whether that is within the limit', () => {
    expect(told({})).toEqual(['**18 ns** yes'])
    expect(told({ limit: 17.9 })).toEqual(['**18 ns** no'])
  })

  test('is a ratio to the baseline', () => {
    expect(told({ by: 'baseline', limit: 1.1 })).toEqual(['**1.20** no'])
  })

  test('is a ratio to the peer that needs least of those that do no more', () => {
    expect(told({ by: 'best peer', limit: 1 })).toEqual(['**1.50** no (of ky quick)'])
  })

  test('is a column of a table of facts', () => {
    expect(told({ tables: ['Added'], row: 'holdfast fast', column: 'time', limit: 1 })).toEqual([
      '**0.25** yes',
    ])
  })

  test('is a rate, of which there should be more', () => {
    const rate = { tables: ['Added'], row: 'holdfast fast', column: 'time', isRate: true } as const
    expect(told({ ...rate, limit: 4 })).toEqual(['**4.00** yes'])
    expect(told({ ...rate, limit: 4.5 })).toEqual(['**4.00** no'])
  })

  test('stands beside the limit that the least takes, held to the same', () => {
    expect(told({ limitRow: 'none by hand' })).toEqual(['**18 ns** yes (limit 17 ns)'])
    expect(told({ by: 'best peer', limit: 2, limitRow: 'none by hand' })).toEqual([
      '**1.50** yes (of ky quick, limit 1.38)',
    ])
  })

  test('has a figure of each table', () => {
    const aim = { tables: ['One', 'Added'], by: 'baseline', column: 'CPU', limit: 1 } as const
    const both: Facts = { ...facts, rows: [{ library: 'holdfast', name: 'both', values: [0.5, 1] }] }
    expect(told(aim, result('v20.1.0', one, both))).toEqual(['**1.20** no; **0.50** yes'])
  })

  test('has one more digit where it would look like the limit', () => {
    expect(told({ by: 'baseline', limit: 1.199 })).toEqual(['**1.200** no'])
  })

  test('has a column for each line of Node, and a limit of each', () => {
    const results = [result('v24.1.0', one), result('v20.1.0', one)]
    expect(told({ limit: { 20: 10, 24: 20 } }, ...results)).toEqual(['**18 ns** no', '**18 ns** yes'])
    expect(told({ bench: 'import' }, ...results)).toEqual(['', ''])
  })
})

test.each<[string, Partial<Aim>, string]>([
  ['table', { tables: ['Two'] }, 'policies has no table "Two"'],
  ['row', { row: 'holdfast all' }, 'One: there is no row "holdfast all"'],
  ['column', { tables: ['Added'], row: 'holdfast fast', column: 'RSS' }, 'holdfast fast has no "RSS"'],
  ['figure', { tables: ['Added'], row: 'none nothing', column: 'time' }, 'none nothing has no "time"'],
  ['limit', { limit: { 24: 1 } }, 'Quick: no limit for Node 20'],
  ['peer', { by: 'best peer', row: 'none by hand' }, 'none by hand has no peer'],
])('an aim without its %s fails', (_, aim, message) => {
  expect(() => told(aim)).toThrow(message)
})
