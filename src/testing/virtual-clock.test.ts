import { expect, test } from 'vitest'
import { virtualClock } from './virtual-clock.ts'

test('a virtual clock that is moved in two places at once never goes back', async () => {
  const clock = virtualClock()
  const seen: number[] = []
  const short = clock.advance(500).then(() => seen.push(clock.now()))
  const long = clock.advance(1000).then(() => seen.push(clock.now()))
  await Promise.all([long, short])
  seen.push(clock.now())
  expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  clock.schedule(() => void clock.advance(2000), 50)
  await clock.advance(100)
  await clock.settle()
  expect(clock.now()).toBeGreaterThanOrEqual(3050)
})

test.each([-1, NaN, Infinity, '100' as never])('it is not moved by %s', async (ms) => {
  const clock = virtualClock()
  await expect(clock.advance(ms)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' })
  expect(clock.now()).toBe(0)
})
