import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { root } from '../package/run.ts'
import { occursIn } from './excerpt.ts'
import { documentation } from './markdown.ts'
import { compileSamples } from './samples.ts'

const blocks = documentation().flatMap((page) => page.blocks)
const excerpts = blocks.filter((block) => block.from !== undefined)
const samples = blocks.filter((block) => block.language === 'ts' && block.from === undefined)
const compiled = await compileSamples('pages', samples)
afterAll(() => compiled.remove())

describe('code in the documentation', () => {
  test('is fenced so that it is checked', () => {
    const aliases = new Set(['js', 'javascript', 'mjs', 'typescript', 'tsx', 'jsx'])
    expect(
      blocks.filter(({ language }) => aliases.has(language)).map(({ at }) => `${at}: fence it as ts`),
    ).toEqual([])
  })

  test('carries no flag that nobody reads', () => {
    const unknown = samples.flatMap(({ at, flags }) =>
      flags.filter((flag) => flag !== 'no-run').map((flag) => `${at}: ${flag}`),
    )
    expect(unknown).toEqual([])
  })

  test.each(excerpts)('$at stands in the file it names', ({ at, from = '', code }) => {
    const file = join(root, from)
    expect(existsSync(file), `${at} names ${from}, which does not exist`).toBe(true)
    expect(occursIn(readFileSync(file, 'utf8'), code), `${at} is no part of ${from}`).toBe(true)
  })

  test.each(samples)('$at type-checks', (block) => {
    expect(compiled.errorsOf(block)).toEqual([])
  })

  const runnable = samples.filter(({ flags }) => !flags.includes('no-run'))
  // In one process: starting one, and loading the package there, takes longer than the samples do.
  test('runs', { timeout: 180_000 }, async () => {
    expect(await compiled.runAll(runnable, 60_000)).toEqual([])
  })
})
