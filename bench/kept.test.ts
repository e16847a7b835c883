import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { benches } from './benches.ts'
import { formatted, keptResults, PAGE } from './kept.ts'
import { aims } from './report/aims.ts'
import { renderPage } from './report/page.ts'

test('the page says what the kept results say', async () => {
  const results = keptResults(benches.map(({ name }) => name))
  expect(results.map(({ bench }) => bench)).toContain('policies')
  expect(readFileSync(PAGE, 'utf8')).toBe(await formatted(PAGE, renderPage(results, aims)))
})
