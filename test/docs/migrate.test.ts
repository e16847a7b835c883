/** The pages for users of other libraries: old code beside new, and both end with the same. */
import { describe, expect, test } from 'vitest'
import { documentation, type Block, type Page } from './markdown.ts'

const folder = 'docs/migrate/'
const pages = documentation((path) => path.startsWith(folder))
const libraryOf = ({ path }: Page): string => path.slice(folder.length, -'.md'.length)

const uses = (block: Block, library: string): boolean => block.code.includes(` from '${library}'\n`)

/** What was observed, in words that don't depend on the library: how often the work was done. */
const observed = ({ code }: Block): string[] =>
  code.match(/^assert\.equal\((?:api\.requests\.length|runs), \d+\)/gm) ?? []

/** Each sample with the old library alone, and the one with Holdfast after it. */
function pairsOf(page: Page): [before: Block, after: Block][] {
  const library = libraryOf(page)
  return page.blocks.flatMap((block, index): [Block, Block][] => {
    const next = page.blocks[index + 1]
    const isPair = uses(block, library) && next && uses(next, 'holdfast') && !uses(next, library)
    return isPair ? [[block, next]] : []
  })
}

test('there is a page for each of six libraries', () => {
  expect(pages.map(libraryOf)).toEqual(['axios-retry', 'cockatiel', 'got', 'ky', 'opossum', 'p-retry'])
})

describe.each(pages.map((page) => [libraryOf(page), page] as const))('moving from %s', (_, page) => {
  test('there is old code beside new', () => {
    expect(pairsOf(page).length).toBeGreaterThanOrEqual(2)
  })

  test('both observe the same', () => {
    for (const [before, after] of pairsOf(page)) {
      expect(observed(before).length, `${before.at} counts no attempts`).toBeGreaterThan(0)
      expect(observed(after), after.at).toEqual(observed(before))
    }
  })
})
