import { describe, expect, test, vi } from 'vitest'
import { retryAfterMs } from './retry-after.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const read = (headers: Record<string, string>): number | undefined => retryAfterMs(new Headers(headers), NOW)

describe('Retry-After', () => {
  test.each([
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 23:59:00 GMT' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2099 01:00:30 GMT', date: 'Thu, 01 Jan 2099 01:00:00 GMT' }, 30_000],
    [{ 'retry-after': 'Thursday, 01-Jan-26 00:00:10 GMT' }, 10_000],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT', date: 'yesterday' }, 30_000],
    [{ 'retry-after-ms': '1500.25' }, 1500.25],
    [{ 'retry-after-ms': '10', 'retry-after': '60' }, 10],
    [{ 'retry-after-ms': 'soon', 'retry-after': '60' }, 60_000],
    [{ 'retry-after-ms': '10 ms', 'retry-after': '60' }, 60_000],
    [{ 'retry-after-ms': '-10', 'retry-after': '60' }, 60_000],
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
    'in 12',
    'Infinity',
    '0x10',
    'Thu, 99 Foo 2026 00:00:00 GMT',
    '01 Jan 2026 00:00:10 GMT',
    'Thu, 01 Jan 2026 0:00:10 GMT',
    'Thu, 01 Jan 2026 00:00:1 GMT',
  ])('"%s" says nothing', (value) => {
    expect(read({ 'retry-after': value })).toBeUndefined()
  })

  test('the old asctime form is in UTC, wherever the client is', () => {
    vi.stubEnv('TZ', 'Asia/Tokyo')
    try {
      expect(read({ 'retry-after': 'Thu Jan  1 00:00:10 2026' })).toBe(10_000)
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('spaces around a value do not matter where the platform leaves them', () => {
    const untrimmed = (name: string) =>
      ({ get: (asked: string) => (asked === name ? ' 7 ' : null) }) as Headers
    expect(retryAfterMs(untrimmed('retry-after'), NOW)).toBe(7000)
    expect(retryAfterMs(untrimmed('retry-after-ms'), NOW)).toBe(7)
  })

  test('no header says nothing', () => {
    expect(read({})).toBeUndefined()
  })
})
