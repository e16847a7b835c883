import { describe, expect, test } from 'vitest'
import { brokenLink } from './links.ts'
import { documentation, housePages, parsePage } from './markdown.ts'

describe('links', () => {
  test.each([...documentation(), ...housePages()])('of $path lead somewhere', (page) => {
    expect(page.links.flatMap((link) => brokenLink(page, link) ?? [])).toEqual([])
  })
})

describe('the check itself', () => {
  const check = (source: string): string[] => {
    const page = parsePage('docs/made-up.md', source)
    return page.links.flatMap((link) => brokenLink(page, link) ?? [])
  }

  test.each([
    ['a file', '[a](../package.json)'],
    ['a line of a file', '[a](../src/index.ts#L1)'],
    ['a folder', '[a](../src/)'],
    ['a heading of the page', '# What it is, `really`?\n\n[a](#what-it-is-really)'],
    ['the second heading of a name', '# A\n\n# A\n\n[a](#a-1)'],
    ['the web', '[a](https://example.com/nowhere)'],
    ['an anchor set by hand', '<a id="here"></a>\n\n[a](#here)'],
  ])('accepts a link to %s', (_, source) => {
    expect(check(source)).toEqual([])
  })

  test.each([
    ['a missing file', '# A\n\n[a](gone.md)', 'docs/made-up.md:3: gone.md does not exist'],
    ['a missing picture', '![a](gone.png)', 'docs/made-up.md:1: gone.png does not exist'],
    ['a missing picture in HTML', '<img src="gone.png">', 'docs/made-up.md:1: gone.png does not exist'],
    ['a missing heading', '[a](#gone)', 'docs/made-up.md:1: #gone names no heading'],
    [
      'a missing line',
      '[a](../src/index.ts#gone)',
      'docs/made-up.md:1: ../src/index.ts#gone names no heading',
    ],
    ['a place outside', '[a](../../x)', 'docs/made-up.md:1: ../../x leaves the repository'],
    ['a missing definition', '[a][b]\n\n[b]: gone.md', 'docs/made-up.md:3: gone.md does not exist'],
    [
      'a missing file, in a table',
      '| a |\n|---|\n| [a](gone.md) |',
      'docs/made-up.md:3: gone.md does not exist',
    ],
  ])('refuses a link to %s', (_, source, problem) => {
    expect(check(source)).toEqual([problem])
  })
})
