import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/testing/virtual-clock.ts'
import { Lateness } from './lateness.ts'

test('timers that run when they are due are no lateness, some late ones neither, many are', async () => {
  const clock = virtualClock()
  let lateMs = 0
  const lateness = new Lateness({
    ...clock,
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    schedule: (callback, delayMs) => clock.schedule(callback, delayMs + lateMs),
  })
  const later = async (ms: number, eachLateMs: number): Promise<boolean> => {
    lateMs = eachLateMs
    await clock.advance(ms)
    return lateness.isTooMuch
  }
  expect(await later(2000, 0)).toBe(false)
  expect(await later(300, 200)).toBe(false)
  expect(await later(5000, 200)).toBe(true)
  expect(await later(5000, 0)).toBe(false)
  lateness.stop()
  expect(clock.pending).toBe(0)
})
