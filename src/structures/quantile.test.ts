import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SlidingQuantile } from './quantile.ts'

const WINDOW_SAMPLES = 256

const filled = (...samples: number[]): SlidingQuantile => {
  const window = new SlidingQuantile(WINDOW_SAMPLES)
  for (const sample of samples) window.add(sample)
  return window
}

describe('a sliding quantile', () => {
  test('is unknown without samples', () => {
    expect(new SlidingQuantile(WINDOW_SAMPLES).quantile(0.95)).toBeUndefined()
  })

  test('is the smallest sample that the share does not exceed', () => {
    const hundred = filled(...Array.from({ length: 100 }, (_, index) => 100 - index))
    expect([0.01, 0.5, 0.95, 0.951, 1].map((share) => hundred.quantile(share))).toEqual([1, 50, 95, 96, 100])
  })

  test('forgets what is older than its window', () => {
    const window = filled(9999, ...Array.from({ length: WINDOW_SAMPLES - 1 }, () => 1))
    expect(window.quantile(1)).toBe(9999)
    window.add(1)
    expect(window.quantile(1)).toBe(1)
    expect(window.count).toBe(WINDOW_SAMPLES)
  })

  test('agrees with sorting the newest samples, whatever comes', () => {
    const sample = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.double({ min: 0, max: 1e6, noNaN: true }))
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 1, maxLength: 3 * WINDOW_SAMPLES, size: 'max' }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        (samples, share) => {
          const newest = samples.slice(-WINDOW_SAMPLES).map(Math.fround)
          const sorted = newest.toSorted((a, b) => a - b)
          expect(filled(...samples).quantile(share)).toBe(sorted[Math.ceil(share * sorted.length) - 1])
        },
      ),
      { numRuns: 100 },
    )
  })
})
