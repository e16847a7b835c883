/** The checks of the documentation, seen failing. */
import { afterAll, describe, expect, test } from 'vitest'
import { occursIn } from './excerpt.ts'
import { parsePage, type Block } from './markdown.ts'
import { compileSamples } from './samples.ts'

const page = parsePage(
  'docs/made-up.md',
  `# A page

\`\`\`ts
import * as holdfast from 'holdfast'
if (Object.keys(holdfast).length === 0) throw new Error('the package is empty')
\`\`\`

\`\`\`ts
const attempts: number = 'four'
\`\`\`

\`\`\`ts
interface GoneAtRunTime {
  a: string
}
const late: GoneAtRunTime = { a: 'late' }
throw new Error(late.a)
\`\`\`

\`\`\`ts no-run
setInterval(() => {}, 1000)
\`\`\`

\`\`\`ts
process.exit(0)
\`\`\`

\`\`\`ts
globalThis.fetch = async () => new Response()
\`\`\`

<!-- from: src/primitives/clock.ts -->
\`\`\`ts
const a = 1
\`\`\`
`,
)
type Blocks = [Block, Block, Block, Block, Block, Block, Block]
const [sound, mistyped, throwing, endless, leaving, meddling, excerpt] = page.blocks as Blocks
const compiled = await compileSamples('made-up', page.blocks.slice(0, 6))
afterAll(() => compiled.remove())

describe('the samples of a page', () => {
  test('a sound one passes, with the package by its own name', async () => {
    expect(compiled.errorsOf(sound)).toEqual([])
    expect(await compiled.run(sound)).toBe('')
  })

  test('a type error is reported at its line of the page', () => {
    expect(compiled.errorsOf(mistyped)).toEqual([expect.stringMatching(/^docs\/made-up\.md:9:7.*TS2322/)])
  })

  test('an error at run time is reported at its line of the page', async () => {
    const report = await compiled.run(throwing)
    expect(report).toMatch(/^docs\/made-up\.md:13 ended with 1\n/)
    expect(report).toContain('docs/made-up.md:17:7')
  })

  test('one that never ends is ended', async () => {
    expect(await compiled.run(endless, 1000)).toMatch(/^docs\/made-up\.md:21 ended with SIGKILL/)
  })

  test('in one process the one that fails is named', async () => {
    const report = expect.stringMatching(/^docs\/made-up\.md:13 ended with 1\n/)
    expect(await compiled.runAll([throwing, sound])).toEqual([report])
  })

  test('in one process, one that leaves cannot hide those after it', async () => {
    expect(await compiled.runAll([leaving, sound])).toEqual([
      expect.stringMatching(/^only together: ended with 0/),
    ])
  })

  test('in one process, one must not change what others find', async () => {
    const report = expect.stringMatching(/^only together: [^]*made-up\.md\.29\.js changes a global/)
    expect(await compiled.runAll([meddling, sound])).toEqual([report])
  })

  test('flags and the file it comes from are read', () => {
    expect(endless.flags).toEqual(['no-run'])
    expect(excerpt.from).toBe('src/primitives/clock.ts')
  })
})

describe('an excerpt', () => {
  const file = 'class A {\n  go() {\n    one()\n    two()\n\n    three()\n  }\n}\n'

  test.each([
    ['at another indentation', 'one()\ntwo()'],
    ['over an empty line', '  two()\n\n  three()'],
    ['with lines left out', 'go() {\n  // ...\n  three()'],
  ])('is found %s', (_, block) => {
    expect(occursIn(file, block)).toBe(true)
  })

  test.each([
    ['with a changed line', 'one()\ntwice()'],
    ['with a line missing between', 'one()\nthree()'],
    ['in another order', 'three()\n// ...\none()'],
    ['with another inner indentation', 'go() {\none()'],
  ])('is not found %s', (_, block) => {
    expect(occursIn(file, block)).toBe(false)
  })
})
