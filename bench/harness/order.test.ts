import { expect, test } from 'vitest'
import { seeded, shuffled } from './order.ts'

const items = Array.from({ length: 20 }, (_, index) => index)

test('a seed draws the same order every time', () => {
  expect(shuffled(items, seeded(7))).toEqual(shuffled(items, seeded(7)))
})

test('another seed draws another', () => {
  expect(shuffled(items, seeded(7))).not.toEqual(shuffled(items, seeded(8)))
})

test('each round has an order of its own', () => {
  const random = seeded(7)
  expect(shuffled(items, random)).not.toEqual(shuffled(items, random))
})

test('nothing is lost or doubled', () => {
  expect(shuffled(items, seeded(7)).sort((a, b) => a - b)).toEqual(items)
})

test('every place is as likely as any other', () => {
  const random = seeded(1)
  const firsts = Array.from({ length: 3000 }, () => shuffled(['a', 'b', 'c'], random)[0])
  for (const letter of ['a', 'b', 'c']) {
    const share = firsts.filter((first) => first === letter).length / firsts.length
    expect(share).toBeGreaterThan(0.3)
    expect(share).toBeLessThan(0.37)
  }
})

test('drawn numbers lie in [0, 1)', () => {
  const random = seeded(42)
  const drawn = Array.from({ length: 1000 }, random)
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...drawn)).toBeLessThan(1)
})
