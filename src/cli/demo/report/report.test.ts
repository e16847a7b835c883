import { expect, test } from 'vitest'
import { Tally } from '../tally.ts'
import { countColumn, type ColumnReport } from './counts.ts'
import { sumFaults } from './faults.ts'
import { renderReport } from './table.ts'
import { failedClaims, type DemoReport } from './verdict.ts'

function column(changes: Partial<ColumnReport> = {}): ColumnReport {
  return {
    ordered: 500,
    confirmed: 500,
    lost: 0,
    unsure: 0,
    doubled: 0,
    requests: 700,
    retries: 0,
    circuitOpenings: 0,
    parked: 0,
    parkedMs: 0,
    durationMs: 30_000,
    ...changes,
  }
}

const faults = {
  serverErrors: 12,
  resets: 1,
  lostAfterCommit: 30,
  delayed: 40,
  cutInOutage: 5,
  outageMs: 5500,
}

const good: DemoReport = {
  bare: column({ confirmed: 400, lost: 70, unsure: 30 }),
  naive: column({ confirmed: 490, lost: 10, doubled: 39 }),
  holdfast: column({ parked: 10, parkedMs: 45_000, circuitOpenings: 1 }),
  faults,
}

test('every order is judged by the database', () => {
  const tally = new Tally()
  for (const order of [0, 1, 4]) tally.confirmed.add(order)
  // 0 as it should be, 1 twice, 2 unknown to the client, 3 nowhere, 4 confirmed but nowhere.
  const rows = new Map([
    [0, 1],
    [1, 2],
    [2, 3],
  ])
  expect(countColumn(5, rows, tally, 1234.5)).toMatchObject({
    ordered: 5,
    confirmed: 2,
    unsure: 1,
    lost: 2,
    doubled: 2,
    durationMs: 1235,
  })
})

test('faults are added up over the servers', () => {
  const stats = {
    requests: 10,
    handled: 9,
    answered: 7,
    lostAfterHandling: 2,
    faults: { status: 3, latency: 1 },
    connections: 4,
    openSockets: 0,
    outages: 2,
    resetAtAccept: 6,
  }
  expect(sumFaults([stats, { ...stats, faults: { reset: 5 } }])).toEqual({
    serverErrors: 3,
    resets: 5,
    lostAfterCommit: 4,
    delayed: 1,
    cutInOutage: 12,
    outageMs: 5500,
  })
})

test('a run that bears everything out has no failed claims', () => {
  expect(failedClaims(good)).toEqual([])
})

test.each<[string, Partial<DemoReport>]>([
  ['lose no order, but lost 2', { holdfast: column({ lost: 2 }) }],
  ['double no order, but doubled 3', { holdfast: column({ doubled: 3 }) }],
  ['is unsure of 4', { holdfast: column({ unsure: 4 }) }],
  ['bare fetch lost nothing', { bare: column() }],
  ['naive loop doubled nothing', { naive: column() }],
])('%s', (message, changes) => {
  const failures = failedClaims({ ...good, ...changes })
  expect(failures).toHaveLength(1)
  expect(failures[0]).toContain(message)
})

test('the table says it all, and in how many seconds', () => {
  const text = renderReport(good, { orders: 500, seed: 7, fast: true, json: false }, false)
  expect(text).toMatch(/bare fetch +naive loop +Holdfast/)
  expect(text).toMatch(/lost +70 +10 +0\n/)
  expect(text).toMatch(/doubled +0 +39 +0\n/)
  expect(text).toMatch(/unsure +30 +0 +0\n/)
  expect(text).toMatch(/circuit openings +- +- +1\n/)
  expect(text).toMatch(/parked for, each +- +- +4\.5 s\n/)
  expect(text).toContain('(seed 7)')
  expect(text).toContain('1 connection reset')
  expect(text).toContain('twenty times as fast')
  expect(text).toContain('✔ Holdfast: 500 of 500 orders confirmed, none lost, none doubled, none unsure.')
  expect(text).not.toContain('\u001B')
})

test('a failed claim stands where the success would', () => {
  const text = renderReport(
    { ...good, naive: column() },
    { orders: 500, seed: 7, fast: false, json: false },
    true,
  )
  expect(text).toContain('✘')
  expect(text).toContain('the naive loop doubled nothing, so the faults were not real.')
  expect(text).not.toContain('✔')
})

test('colours tell good from bad', () => {
  const text = renderReport(good, { orders: 500, seed: 7, fast: false, json: false }, true)
  expect(text).toContain('\u001B[31m\u001B[1m70')
  expect(text).toContain('\u001B[32m\u001B[1m0')
})
