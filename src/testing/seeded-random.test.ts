import { expect, test } from 'vitest'
import { seededRandom } from './index.ts'

const draw = (count: number, ...parts: (number | string)[]): number[] => {
  const random = seededRandom(...parts)
  return Array.from({ length: count }, () => random())
}

test('the same seed gives the same numbers, another one others', () => {
  expect(draw(20, 7)).toEqual(draw(20, 7))
  expect(draw(20, 7)).not.toEqual(draw(20, 8))
})

test('every part counts, and where one ends and the next begins', () => {
  expect(draw(1, 1, 23)).not.toEqual(draw(1, 12, 3))
  expect(draw(1, 'orders', 1)).not.toEqual(draw(1, 'orders', 2))
})

test('the numbers lie in [0, 1) and fill it evenly, in one sequence and over neighbouring seeds', () => {
  const neighbours = Array.from({ length: 10_000 }, (_, seed) => seededRandom('run', seed)())
  for (const numbers of [draw(10_000, 1), neighbours]) {
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...numbers)).toBeLessThan(1)
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = numbers.filter((number) => Math.floor(number * 10) === tenth).length / numbers.length
      expect(share).toBeGreaterThan(0.085)
      expect(share).toBeLessThan(0.115)
    }
  }
})
