import { expect, test } from 'vitest'
import { storedHeaders } from './stored-headers.ts'

test('a Connection that a server has filled with blanks holds nobody up, and names what is not stored', () => {
  const headers = new Headers({
    connection: `close${' '.repeat(100_000)}x , x-hop`,
    'x-hop': '1',
    'x-kept': '1',
  })
  expect(storedHeaders(headers, 0).map(([name]) => name)).toEqual(['x-kept', 'date'])
})
