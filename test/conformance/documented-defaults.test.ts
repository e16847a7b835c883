import { expect, test } from 'vitest'
import { SERVER_DEFAULTS } from '../../src/idempotency/index.ts'
import { MEMORY_STORE_DEFAULTS } from '../../src/stores/memory.ts'
import { POSTGRES_STORE_DEFAULTS } from '../../src/stores/postgres/index.ts'
import { SQLITE_STORE_DEFAULTS } from '../../src/stores/sqlite/index.ts'
import { missingDefaults, unknownDefaults, wrongDefaults } from '../docs/defaults.ts'
import { readPage } from '../docs/markdown.ts'

test.each([
  ['docs/idempotency.md', SERVER_DEFAULTS],
  ['docs/stores/memory.md', MEMORY_STORE_DEFAULTS],
  ['docs/stores/postgres.md', POSTGRES_STORE_DEFAULTS],
  ['docs/stores/sqlite.md', SQLITE_STORE_DEFAULTS],
])('%s states all of its defaults, as the code has them', (path, constants) => {
  const page = readPage(path)
  expect(wrongDefaults(page, constants)).toEqual([])
  expect(unknownDefaults(page, constants)).toEqual([])
  expect(missingDefaults(page, constants)).toEqual([])
})
