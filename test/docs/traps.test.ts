/** The page of bugs that are tests names tests: they exist. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../package/run.ts'

const ROW = /`([^`]+\.test\.ts)`: "([^"]*)"/g

const named = [...readFileSync(join(root, 'docs/traps.md'), 'utf8').matchAll(ROW)].map(([, file, name]) => ({
  file: file ?? '',
  name: name ?? '',
}))

/** A title in its file stands in quotes, its own quotes escaped or typographic. */
const holds = (source: string, name: string): boolean =>
  ["'", '"', '`'].some((quote) => source.includes(`(${quote}${name}${quote}, `))

describe('the bugs that are tests', () => {
  test('are many', () => {
    expect(named.length).toBeGreaterThan(30)
  })

  test.each(named)('$file has "$name"', ({ file, name }) => {
    expect(holds(readFileSync(join(root, file), 'utf8'), name)).toBe(true)
  })

  test('one that is not there is missed', () => {
    expect(holds("test('is here', () => {})", 'is here')).toBe(true)
    expect(holds("test('is here', () => {})", 'is')).toBe(false)
  })
})
