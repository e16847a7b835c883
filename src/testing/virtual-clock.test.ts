import { expect, test } from 'vitest'
import { virtualClock, type VirtualClockOptions } from './virtual-clock.ts'

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

test.each([
  [5, 'virtualClock should be an object, got 5'],
  [{ now: 5 }, 'virtualClock has no option "now"; it has nowMs, wallNowMs'],
  [{ nowMs: '5' }, 'virtualClock.nowMs should be a number >= 0, got "5"'],
  [{ wallNowMs: NaN }, 'virtualClock.wallNowMs should be a number >= 0, got NaN'],
])('%o is refused', (options, message) => {
  expect(() => virtualClock(options as VirtualClockOptions)).toThrow(message)
})
