import type { TableRow } from 'mdast'
import { toString } from 'mdast-util-to-string'
import { expect, test } from 'vitest'
import { readPage } from '../docs/markdown.ts'
import { sdks } from './cases/index.ts'

const [table] = readPage('docs/sdks.md').tables
const rows = table?.node.children.slice(1) ?? []
const cellsOf = (row: TableRow): string[] => row.children.map((cell) => toString(cell))

test('docs/sdks.md says of each SDK what is tested', () => {
  const documented = rows.map(cellsOf).map(([name, , off, , sends, error]) => ({
    name,
    hasOwnRetries: off !== 'none',
    sends: Number(sends),
    error,
  }))
  const tested = sdks.map(({ name, asItComes, ownAttempts = 1, errorIn }) => ({
    name,
    hasOwnRetries: asItComes !== undefined,
    sends: ownAttempts,
    error: errorIn,
  }))
  expect(documented).toEqual(tested)
})
