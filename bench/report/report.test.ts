import { describe, expect, test } from 'vitest'
import { growth } from '../harness/growth.ts'
import { comparison, type Comparison, type Facts, type Measured, type Result } from '../harness/result.ts'
import { chartOf } from './chart.ts'
import { comparisonGrid, factsGrid } from './columns.ts'
import { describeLoss, factLossesOf, lossesOf } from './losses.ts'
import { renderPage } from './page.ts'
import { isDrawn, pictureName } from './pictures.ts'

const measured = (
  library: string,
  name: string,
  samples: number[],
  has: Measured['has'] = ['retry'],
): Measured => ({ library, name, has, samples })

function table(...rows: [Measured, ...Measured[]]): Comparison {
  return comparison({ title: 'One policy', note: '', unit: 'ns', baseline: rows[0], measured: rows })
}

describe('a comparison', () => {
  test('divides by the baseline of the same round', () => {
    const { rows, baseline } = table(
      measured('none', 'bare', [10, 100], []),
      measured('ky', 'retry', [30, 300]),
    )
    expect(baseline).toBe('none bare')
    expect(rows.map(({ ratio }) => ratio.median)).toEqual([1, 3])
  })

  test('divides by a baseline of its own, where it ran beside one', () => {
    const { rows } = table(measured('none', 'bare', [10, 10], []), {
      ...measured('ky', 'retry', [30, 300]),
      beside: [20, 200],
    })
    expect(rows.map(({ ratio }) => ratio.median)).toEqual([1, 1.5])
  })

  test('needs its baseline', () => {
    const plan = { title: 'One', note: '', unit: 'ns', baseline: { library: 'none', name: 'bare' } } as const
    expect(() => comparison({ ...plan, measured: [measured('ky', 'retry', [1])] })).toThrow('none bare')
  })

  test('measured once has no spread to show', () => {
    expect(comparisonGrid(table(measured('ky', 'retry', [1]))).head).not.toContain('spread')
    expect(comparisonGrid(table(measured('ky', 'retry', [1, 2]))).head).toContain('spread')
  })
})

describe('a loss', () => {
  const ours = measured('holdfast', 'retry', [20, 20, 20, 20])

  test('is a peer that does the same and needs less', () => {
    const losses = lossesOf(table(ours, measured('ky', 'retry', [10, 10, 10, 10])))
    expect(losses.map(describeLoss)).toEqual(['retry takes 2.00 x what ky retry takes'])
  })

  test('is told by baselines, where both had one of their own', () => {
    const slower = { ...ours, beside: [10, 10, 10, 10] }
    const peer = { ...measured('ky', 'retry', [40, 40, 40, 40]), beside: [40, 40, 40, 40] }
    expect(lossesOf(table(slower, peer)).map(describeLoss)).toEqual([
      'retry takes 2.00 x what ky retry takes',
    ])
  })

  test('says what a peer that does less has not', () => {
    const whole = measured('holdfast', 'all', [20], ['retry', 'breaker', 'timeout'])
    const losses = lossesOf(table(whole, measured('ky', 'retry', [10])))
    expect(losses.map(describeLoss)).toEqual([
      'all takes 2.00 x what ky retry takes (which has no breaker, timeout)',
    ])
  })

  test('is told of the variant of a library that does most', () => {
    const whole = measured('holdfast', 'all', [20], ['retry', 'timeout'])
    const losses = lossesOf(
      table(whole, measured('ky', 'retry', [5]), measured('ky', 'both', [10], ['retry', 'timeout'])),
    )
    expect(losses.map(({ peer }) => peer.name)).toEqual(['both'])
  })

  test.each([
    ['a peer that needs more', measured('ky', 'retry', [30, 30, 30, 30])],
    ['a peer that does more', measured('ky', 'both', [10, 10, 10, 10], ['retry', 'timeout'])],
    ['the bare call', measured('none', 'bare', [1, 1, 1, 1], [])],
    ['what holds for half of the rounds', measured('ky', 'retry', [10, 10, 30, 30])],
    ['another of ours', measured('holdfast', 'other', [10, 10, 10, 10])],
  ])('is not %s', (_, other) => {
    expect(lossesOf(table(ours, other))).toEqual([])
  })
})

const outage: Facts = {
  kind: 'facts',
  title: 'An outage',
  note: 'Of a second.',
  columns: [
    { head: 'load', unit: 'x' },
    { head: 'first success', unit: 'ms' },
  ],
  rows: [
    { library: 'holdfast', name: 'createFetch()', values: [0.456, 12.34] },
    { library: 'none', name: 'bare', values: [1, null] },
  ],
  course: {
    x: 'seconds',
    y: 'requests',
    lines: [
      {
        library: 'holdfast',
        name: 'createFetch()',
        points: [
          [0, 1],
          [1, 2],
        ],
      },
    ],
  },
}

describe('a loss in facts', () => {
  const facts = (best?: 'least' | 'most'): Facts => ({
    kind: 'facts',
    title: 'An outage',
    note: '',
    columns: [{ head: 'load', unit: 'x', ...(best && { best }) }],
    rows: [
      { library: 'holdfast', name: 'createFetch()', values: [0.5] },
      { library: 'holdfast', name: 'all off', values: [null] },
      { library: 'none', name: 'bare', values: [0.1] },
      { library: 'ky', name: 'retry', values: [0.4] },
      { library: 'got', name: 'retry', values: [0.51] },
      { library: 'opossum', name: 'breaker', values: [null] },
    ],
  })

  test('is the best figure of a peer, where there is a better and a worse', () => {
    expect(factLossesOf(facts('least'))).toEqual(['createFetch() has load 0.50 x, ky retry 0.40 x'])
    expect(factLossesOf(facts())).toEqual([])
  })

  test('is not what may be chance', () => {
    expect(factLossesOf(facts('most'))).toEqual([])
  })

  test('stands on the page', () => {
    const result = { bench: 'outages', what: '', date: '', quick: false, seed: 1 }
    const machine = {
      node: 'v20.1.0',
      platform: '',
      cpu: '',
      cores: 2,
      memoryGiB: 8,
      commit: '',
      versions: {},
    }
    expect(renderPage([{ ...result, machine, sections: [facts('least')] }], [])).toContain(
      '- An outage: createFetch() has load 0.50 x, ky retry 0.40 x.',
    )
  })
})

describe('facts', () => {
  test('have a column for each figure, with its unit, and a gap where there is none', () => {
    const { head, rows } = factsGrid(outage)
    expect(head).toEqual(['library', 'what', 'load', 'first success, ms'])
    expect(rows).toEqual([
      { cells: ['holdfast', 'createFetch()', '0.46', '12.3'], marked: true },
      { cells: ['', 'bare', '1.00', ''], marked: false },
    ])
  })
})

describe('a picture', () => {
  const three = table(
    measured('none', 'bare', [10]),
    measured('holdfast', 'retry', [20]),
    measured('ky', 'retry <3', [1000]),
  )

  test('has a bar for each row, with its name and its figure', () => {
    const svg = chartOf(three)
    expect(svg).toMatch(/^<svg /)
    for (const text of ['bare', 'holdfast: retry', 'ky: retry &lt;3', '1,000', 'One policy: ns'])
      expect(svg).toContain(text)
  })

  test('shows ratios where rows ran beside baselines of their own', () => {
    const svg = chartOf(
      table(measured('none', 'fetch', [10], []), { ...measured('ky', 'retry', [300]), beside: [50] }),
    )
    for (const text of ['times what fetch takes', '>6<']) expect(svg).toContain(text)
    expect(svg).not.toContain('>300<')
  })

  test('tells rows apart that differ in the end of a long name', () => {
    const together = '@node-idempotency/core + @node-idempotency/storage-adapter-'
    const svg = chartOf(
      table(
        measured('none', 'bare', [10]),
        measured(`${together}memory`, 'express, memory store', [20]),
        measured(`${together}redis`, 'express, Redis store', [30]),
        measured('axios + axios-retry', 'retry + timeout', [30]),
      ),
    )
    for (const text of ['core + …: express, memory store', 'core + …: express, Redis store'])
      expect(svg).toContain(text)
    expect(svg).toContain('axios + axios-retry: retry + timeout')
  })

  test('has a colour for each line of a course', () => {
    const lines = Array.from({ length: 13 }, (_, line) => ({
      library: 'ky',
      name: `at ${line}`,
      points: [[0, line] as const, [1, line] as const],
    }))
    const svgOf = (many: typeof lines): string =>
      chartOf({ ...outage, course: { x: 'seconds', y: 'requests', lines: many } })
    // As its mark in the legend has.
    const colours = svgOf(lines).match(/(?<=stroke=")#\w{6}(?=" stroke-width="2")/g)
    expect(new Set(colours).size).toBe(13)
    expect(() => svgOf([...lines, ...lines])).toThrow('more lines than there are colours')
  })

  test('shows a course as a line for each', () => {
    const svg = chartOf(outage)
    for (const text of ['holdfast: createFetch()', 'seconds', 'An outage: requests'])
      expect(svg).toContain(text)
  })

  test('is made of what a table does not show at a glance', () => {
    expect([three, table(measured('ky', 'retry', [1])), outage].map(isDrawn)).toEqual([true, false, true])
    const { course: _, ...still } = outage
    expect(isDrawn(still)).toBe(false)
  })
})

describe('the page', () => {
  const checkpoints = [0, 1_000_000].map((calls) => {
    return { calls, heapBytes: 2 ** 23, resources: 0, listeners: 1, circuits: 1 }
  })
  const result = (node: string, quick = false): Result => ({
    bench: 'policies',
    what: 'What policies cost.',
    date: '2026-11-25T12:00:00.000Z',
    quick,
    seed: 1,
    machine: {
      node,
      platform: 'linux x64',
      cpu: 'Some CPU',
      cores: 2,
      memoryGiB: 8,
      commit: 'abc1234',
      versions: { holdfast: '0.1.0', ky: '1.14.3' },
    },
    sections: [
      table(measured('ky', 'a | b', [1000, 1200]), measured('holdfast', 'retry', [2000, 2400])),
      growth({ title: 'Calls', note: 'All of them.', checkpoints }),
    ],
  })
  const page = renderPage([result('v24.1.0'), result('v20.20.2')], [])

  test('has a part for each line of Node, the oldest first', () => {
    expect(page.match(/^## .*/gm)).toEqual(['## What was aimed at', '## Node 20', '## Node 24'])
  })

  test('says where the figures come from', () => {
    expect(page).toContain('Some CPU, 2 cores, 8 GiB, linux x64, Node v20.20.2, 2026-11-25, commit abc1234')
    expect(page).toContain('holdfast 0.1.0, ky 1.14.3')
  })

  test('shows ratio and spread of each row, ours in bold', () => {
    expect(page).toContain('| **holdfast** | **retry** | 2,200 | 2,100..2,300 | 2.00 | 2.00..2.00 |')
  })

  test('keeps a bar within its cell', () => {
    expect(page).toContain(String.raw`| ky | a \| b |`)
  })

  test('shows the pictures', () => {
    const drawn = { ...result('v20.20.2'), sections: [outage] }
    expect(pictureName(drawn, outage)).toBe('policies-1-node-20.svg')
    expect(renderPage([drawn], [])).toContain('![An outage](benchmarks/policies-1-node-20.svg)')
    expect(page).not.toContain('![')
  })

  test('says where we lose', () => {
    const losing = table(measured('ky', 'retry', [10]), measured('holdfast', 'retry', [20]))
    expect(renderPage([{ ...result('v20.20.2'), sections: [losing] }], [])).toContain(
      '- One policy: retry takes 2.00 x what ky retry takes.',
    )
  })

  test('says so where we lose nowhere', () => {
    const winning = table(measured('ky', 'retry', [20]), measured('holdfast', 'retry', [10]))
    expect(renderPage([{ ...result('v20.20.2'), sections: [winning] }], [])).toContain('Nowhere')
  })

  test('gives the verdict on what should stay flat', () => {
    expect(page).toContain('Verdict: flat: 0.000 bytes a call')
  })

  test('warns of a quick run', () => {
    expect(page).not.toContain('A quick run')
    expect(renderPage([result('v20.20.2', true)], [])).toContain('> A quick run')
  })
})
