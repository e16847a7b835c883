import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { keptReports, PAGE, renewedPage } from './report/kept.ts'

test('the page says what the kept reports say', async () => {
  expect(keptReports().length).toBeGreaterThan(0)
  const page = readFileSync(PAGE, 'utf8')
  expect(page).toBe(await renewedPage(page))
})

test('what is kept are runs of real stores', () => {
  expect(keptReports().filter(({ broken }) => broken)).toEqual([])
})
