import { expect, test } from 'vitest'
import type { Clock } from '../../primitives/clock.ts'
import { virtualClock, type VirtualClock } from '../../testing/index.ts'
import { scaledClock } from './scaled-clock.ts'

function setUp(): { real: VirtualClock; clock: Clock } {
  const real = virtualClock({ nowMs: 1000 })
  return { real, clock: scaledClock(20, real) }
}

test('time passes as many times as fast', async () => {
  const { real, clock } = setUp()
  const wallStart = clock.wallNow()
  expect(clock.now()).toBe(1000)
  await real.advance(50)
  expect(clock.now()).toBe(2000)
  expect(clock.wallNow() - wallStart).toBe(1000)
})

test('waits end as many times as soon, soonest first, and can be cancelled', async () => {
  const { real, clock } = setUp()
  const ended: string[] = []
  clock.schedule(() => ended.push('second'), 1000)
  clock.schedule(() => ended.push('a little sooner'), 999)
  clock.schedule(() => ended.push('never'), 1000).cancel()
  await real.advance(49)
  expect(ended).toEqual([])
  await real.advance(1)
  expect(ended).toEqual(['a little sooner', 'second'])
})

test('one wait that ends may cancel another that is due', async () => {
  const { real, clock } = setUp()
  const ended: string[] = []
  clock.schedule(() => other.cancel(), 19)
  const other = clock.schedule(() => ended.push('other'), 20)
  await real.advance(10)
  expect(ended).toEqual([])
})

test('a busy event loop slows it down instead of letting timeouts pass', async () => {
  // A base whose timers come late: time has gone on by a second when the next turn begins.
  let realMs = 0
  const turns: (() => void)[] = []
  const base: Clock = {
    now: () => realMs,
    wallNow: () => realMs,
    schedule: (callback) => {
      turns.push(callback)
      return { cancel: () => {} }
    },
  }
  const clock = scaledClock(20, base)
  realMs = 1000
  turns.shift()?.()
  expect(clock.now()).toBe(50)
})

test('it keeps the process alive exactly as long as somebody waits who asks for it', async () => {
  const { real, clock } = setUp()
  const longWaits = (): number => real.pendingDelaysMs.filter((delayMs) => delayMs > 1).length
  clock.schedule(() => {}, 20)
  expect(longWaits()).toBe(0)
  clock.schedule(() => {}, 20, { keepAlive: true })
  clock.schedule(() => {}, 20, { keepAlive: true }).cancel()
  expect(longWaits()).toBe(1)
  await real.advance(1)
  expect(longWaits()).toBe(0)
})
