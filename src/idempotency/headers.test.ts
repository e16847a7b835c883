import { expect, test } from 'vitest'
import { storableHeaders } from './headers.ts'

const names = (lines: readonly (readonly [string, string])[]): string[] => lines.map(([name]) => name)

test('what Connection names is hop-by-hop as well', () => {
  const lines = [
    ['Connection', 'close, X-Hop'],
    ['X-Hop', '1'],
    ['X-End', '2'],
  ] as const
  expect(names(storableHeaders(lines, new Set()))).toEqual(['X-End'])
})

test('names are compared without case, and lines keep their order', () => {
  const lines = [
    ['SET-COOKIE', 'a'],
    ['X-B', '1'],
    ['X-RateLimit-Limit', '5'],
    ['RateLimit', '5'],
    ['Mine', 'x'],
    ['X-B', '2'],
    ['Access-Control-Expose-Headers', '*'],
  ] as const
  expect(storableHeaders(lines, new Set(['mine']))).toEqual([
    ['X-B', '1'],
    ['X-B', '2'],
  ])
})
