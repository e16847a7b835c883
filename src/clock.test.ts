import { describe, expect, test, vi } from 'vitest'
import { systemClock } from './clock.ts'
import { delay } from './delay.ts'
import { Scope } from './signal.ts'
import { virtualClock } from './testing/virtual-clock.ts'

describe('systemClock', () => {
  test('a wait beyond 2^31 ms does not overflow to an instant timer', () => {
    vi.useFakeTimers()
    try {
      const callback = vi.fn<() => void>()
      const days30 = 30 * 86_400_000
      systemClock.schedule(callback, days30)
      vi.advanceTimersByTime(days30 - 1)
      expect(callback).not.toHaveBeenCalled()
      vi.advanceTimersByTime(1)
      expect(callback).toHaveBeenCalledOnce()
    } finally {
      vi.useRealTimers()
    }
  })

  test('a cancelled wait never ends, not even in its second slice', () => {
    vi.useFakeTimers()
    try {
      const callback = vi.fn<() => void>()
      const timer = systemClock.schedule(callback, 30 * 86_400_000)
      vi.advanceTimersByTime(26 * 86_400_000)
      timer.cancel()
      vi.advanceTimersByTime(30 * 86_400_000)
      expect(callback).not.toHaveBeenCalled()
    } finally {
      vi.useRealTimers()
    }
  })

  test('only a wait that says so keeps the process alive', () => {
    const held = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = held()
    const timeout = systemClock.schedule(() => {}, 60_000)
    expect(held()).toBe(before)
    const backoff = systemClock.schedule(() => {}, 60_000, { keepAlive: true })
    expect(held()).toBe(before + 1)
    timeout.cancel()
    backoff.cancel()
    expect(held()).toBe(before)
  })

  test('tells monotonic and wall time', () => {
    expect(systemClock.now()).toBeLessThanOrEqual(systemClock.now())
    expect(new Date(systemClock.wallNow()).getUTCFullYear()).toBeGreaterThan(2020)
  })
})

describe('delay', () => {
  test('ends with its time', async () => {
    const clock = virtualClock()
    let ended = false
    const slept = delay(clock, 100, new Scope()).then(() => (ended = true))
    await clock.advance(99)
    expect(ended).toBe(false)
    await clock.advance(1)
    await slept
    expect(ended).toBe(true)
  })

  test('an abort ends it at once and leaves no timer', async () => {
    const clock = virtualClock()
    const scope = new Scope()
    const slept = delay(clock, 100, scope)
    scope.abort('left', 'caller')
    await expect(slept).rejects.toBe('left')
    expect(clock.pending).toBe(0)
    await expect(delay(clock, 100, scope)).rejects.toBe('left')
  })
})
