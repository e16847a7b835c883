import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoff, BACKOFF_RULES, type BackoffOptions } from './backoff.ts'
import { checkOptions } from '../primitives/validate.ts'

const MIDDLE = (): number => 0.5
const LOWEST = (): number => 0
const HIGHEST = (): number => 1 - Number.EPSILON

const delays = (options: BackoffOptions, random: () => number, count = 8): number[] => {
  const next = backoff(options, random)
  const made: number[] = []
  for (let retry = 1; retry <= count; retry++) made.push(next(retry, made.at(-1)))
  return made
}

describe('backoff', () => {
  test('waits 1 s, 2 s, 4 s, 8 s by default, up to 30 s', () => {
    expect(delays({}, MIDDLE)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  test('keeps ±25 % of jitter above the cap', () => {
    expect(delays({}, LOWEST, 7).at(-1)).toBe(22_500)
    expect(delays({}, HIGHEST, 7).at(-1)).toBeCloseTo(37_500)
  })

  test.each([
    ['none', LOWEST, [1000, 2000, 4000]],
    ['full', LOWEST, [0, 0, 0]],
    ['full', MIDDLE, [500, 1000, 2000]],
    ['equal', LOWEST, [500, 1000, 2000]],
    ['equal', MIDDLE, [750, 1500, 3000]],
    ['decorrelated', LOWEST, [1000, 1000, 1000]],
    ['decorrelated', MIDDLE, [2000, 3500, 5750]],
  ] as const)('jitter "%s"', (jitter, random, expected) => {
    expect(delays({ jitter }, random, 3)).toEqual(expected)
  })

  test('decorrelated jitter stays under the cap', () => {
    expect(delays({ jitter: 'decorrelated' }, HIGHEST, 20).at(-1)).toBe(30_000)
  })

  test('a custom jitter decides from the capped delay, the previous one and the count', () => {
    const seen: unknown[] = []
    const next = backoff({ jitter: (input) => (seen.push(input), 7) }, MIDDLE)
    expect(next(3, 2000)).toBe(7)
    expect(seen).toEqual([{ delayMs: 4000, previousDelayMs: 2000, retry: 3, random: MIDDLE }])
  })

  test('a custom jitter that gives no delay is an error, not an instant retry', () => {
    expect(() => backoff({ jitter: () => Number.NaN }, MIDDLE)(1)).toThrow(/jitter\(\).*got NaN/)
  })

  test('never overflows: any retry of any options gives a finite delay of at most 1.25 caps', () => {
    const options = fc.record({
      baseDelayMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      maxDelayMs: fc.double({ min: 1, max: 1e7, noNaN: true }),
      jitter: fc.constantFrom(
        'full' as const,
        'equal' as const,
        'decorrelated' as const,
        'none' as const,
        0.25,
      ),
    })
    fc.assert(
      fc.property(
        options,
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (given, retry, chance) => {
          const delayMs = backoff(given, () => chance)(retry)
          return delayMs >= 0 && delayMs <= given.maxDelayMs * 1.25
        },
      ),
    )
  })

  test.each<BackoffOptions>([
    {},
    { baseDelayMs: 0, factor: 1, maxDelayMs: 1 },
    { jitter: 0 },
    { jitter: 1 },
    { jitter: 'equal' },
    { jitter: () => 0 },
  ])('accepts %j', (options) => {
    expect(() => checkOptions('retry', options, BACKOFF_RULES)).not.toThrow()
  })

  test.each([
    [{ baseDelayMs: -1 }, 'retry.baseDelayMs should be a number >= 0, got -1'],
    [{ factor: 0.5 }, 'retry.factor should be a number >= 1, got 0.5'],
    [{ maxDelayMs: 0 }, 'retry.maxDelayMs should be a number > 0, got 0'],
    [{ jitter: 1.01 }, 'retry.jitter should be in [0, 1], got 1.01'],
    [{ jitter: -0.01 }, 'retry.jitter should be in [0, 1], got -0.01'],
    [{ jitter: Number.NaN }, 'retry.jitter should be in [0, 1], got NaN'],
    [{ jitter: {} as () => number }, 'retry.jitter should be a function, got an object with no keys'],
    [
      { jitter: 'half' as 'full' },
      'retry.jitter should be one of "none", "full", "equal", "decorrelated", got "half"',
    ],
  ])('refuses %j', (options, message) => {
    expect(() => checkOptions('retry', options, BACKOFF_RULES)).toThrow(message)
  })
})
