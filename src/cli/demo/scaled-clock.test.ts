import { expect, test } from 'vitest'
import { virtualClock } from '../../testing/index.ts'
import { scaledClock } from './scaled-clock.ts'

test('time passes as many times as fast', async () => {
  const real = virtualClock({ nowMs: 1000 })
  const clock = scaledClock(20, real)
  const wallStart = clock.wallNow()
  expect(clock.now()).toBe(1000)
  await real.advance(50)
  expect(clock.now()).toBe(2000)
  expect(clock.wallNow() - wallStart).toBe(1000)
})

test('waits end as many times as soon, and can be cancelled', async () => {
  const real = virtualClock()
  const clock = scaledClock(20, real)
  const ended: string[] = []
  clock.schedule(() => ended.push('second'), 1000)
  clock.schedule(() => ended.push('never'), 1000).cancel()
  await real.advance(49)
  expect(ended).toEqual([])
  await real.advance(1)
  expect(ended).toEqual(['second'])
})
