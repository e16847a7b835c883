import { describe, expect, test } from 'vitest'
import { median, pairedRatios, quantile, slope, spreadOf } from './arithmetic.ts'

describe('quantiles', () => {
  test('the median is the middle value, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5)
  })

  test('the median of an even number of values lies between the two in the middle', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5)
  })

  test('a quantile between two values is interpolated', () => {
    expect(quantile([10, 20], 0.25)).toBe(12.5)
  })

  test('numbers are ordered as numbers, not as text', () => {
    expect(median([100, 9, 10])).toBe(10)
  })

  test('the values are left in their order, since rounds are paired by it', () => {
    const values = [3, 1, 2]
    median(values)
    expect(values).toEqual([3, 1, 2])
  })

  test('of nothing there is none', () => {
    expect(() => median([])).toThrow(RangeError)
  })

  test('a spread has the extremes, the quartiles and the median', () => {
    expect(spreadOf([5, 1, 3, 2, 4])).toEqual({ min: 1, q1: 2, median: 3, q3: 4, max: 5 })
  })
})

describe('ratios', () => {
  test('are taken round by round: what slows a whole round down cancels out', () => {
    expect(pairedRatios([20, 200], [10, 100])).toEqual([2, 2])
  })

  test('need as many rounds on both sides', () => {
    expect(() => pairedRatios([1, 2], [1])).toThrow('2 rounds cannot be paired with 1')
  })
})

describe('the slope', () => {
  test('of a line is its own', () => {
    expect(slope([0, 1, 2, 3].map((x) => [x, 5 + 2 * x]))).toBeCloseTo(2)
  })

  test('of what wavers around a level is about none', () => {
    expect(slope([0, 1, 2, 3].map((x) => [x, x === 0 || x === 3 ? 7 : 6]))).toBeCloseTo(0)
  })

  test('is the least-squares one', () => {
    expect(
      slope([
        [1, 1],
        [2, 3],
        [3, 2],
      ]),
    ).toBeCloseTo(0.5)
  })

  test('needs two points', () => {
    expect(() => slope([[1, 1]])).toThrow(RangeError)
  })
})
