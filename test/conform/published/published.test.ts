import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { judge } from './judge.ts'
import { keptRun, PAGE, renewedPage, type Verdict } from './kept.ts'
import { failures } from './part.ts'
import { subjects } from './subjects.ts'

const isOurs = ({ library }: Pick<Verdict, 'library'>): boolean => library === 'holdfast'

test('the page says what the kept run says', async () => {
  const page = readFileSync(PAGE, 'utf8')
  expect(page).toBe(await renewedPage(page))
})

test('the kept run is of all of them, and of the whole table', () => {
  const { verdicts, machine } = keptRun()
  const named = (all: readonly Pick<Verdict, 'library' | 'store'>[]): object[] =>
    all.map(({ library, store }) => ({ library, store }))
  expect(named(verdicts)).toEqual(named(subjects))
  expect(new Set(verdicts.map(({ rows }) => rows.map(({ id }) => id).join()))).toHaveProperty('size', 1)
  for (const { library } of subjects) {
    for (const name of library.split(' + ')) expect(machine.versions[name]).toMatch(/^\d+\.\d+\.\d+$/)
  }
})

test('the table can fail: each published middleware fails a MUST of it, and ours none and no SHOULD', () => {
  const { verdicts } = keptRun()
  const theirs = verdicts.filter((verdict) => !isOurs(verdict))
  expect(theirs.filter((verdict) => failures(verdict, 'MUST').length === 0)).toEqual([])
  for (const verdict of verdicts.filter(isOurs)) {
    expect([...failures(verdict, 'MUST'), ...failures(verdict, 'SHOULD')]).toEqual([])
  }
})

// Those with a server of their own are left to the command.
test.concurrent.each(subjects.filter(({ store }) => store === 'memory store'))(
  '$library replays in front of the fixture, and only ours replays what was written in pieces',
  async (subject) => {
    const { rows } = await judge(subject, { only: ['D5', 'D9', 'P5'] })
    expect(rows.map(({ id, result }) => [id, result])).toEqual([
      ['D5', 'pass'],
      ['D9', 'pass'],
      ['P5', isOurs(subject) ? 'pass' : 'fail'],
    ])
  },
)
