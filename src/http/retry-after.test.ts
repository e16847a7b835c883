import { describe, expect, test } from 'vitest'
import { retryAfterMs } from './retry-after.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const read = (headers: Record<string, string>): number | undefined => retryAfterMs(new Headers(headers), NOW)

describe('Retry-After', () => {
  test.each([
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': ' 7 ' }, 7000],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 23:59:00 GMT' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2099 01:00:30 GMT', date: 'Thu, 01 Jan 2099 01:00:00 GMT' }, 30_000],
    [{ 'retry-after': 'Thursday, 01-Jan-26 00:00:10 GMT' }, 10_000],
    [{ 'retry-after': 'Thu Jan  1 00:00:10 2026 GMT' }, 10_000],
    [{ 'retry-after-ms': '1500.5' }, 1500.5],
    [{ 'retry-after-ms': '10', 'retry-after': '60' }, 10],
    [{ 'retry-after-ms': 'soon', 'retry-after': '60' }, 60_000],
    [{ 'retry-after': '99999999999' }, 99_999_999_999_000],
  ])('%j is %d ms', (headers, ms) => {
    expect(read(headers)).toBe(ms)
  })

  test.each([
    '',
    '-1',
    '1.5',
    '1e3',
    'soon',
    '2026-01-01',
    '12 seconds',
    'Infinity',
    '0x10',
    'Thu, 99 Foo 2026 00:00:00 GMT',
  ])('"%s" says nothing', (value) => {
    expect(read({ 'retry-after': value })).toBeUndefined()
  })

  test('no header says nothing', () => {
    expect(read({})).toBeUndefined()
  })
})
