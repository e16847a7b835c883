import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock, type Clock, type Timer } from './clock.ts'
import { delay } from './delay.ts'
import { Scope } from './signal.ts'
import { virtualClock } from '../testing/virtual-clock.ts'

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

test('a clock that was loaded under fake timers goes on without them', async () => {
  vi.useFakeTimers()
  vi.resetModules()
  onTestFinished(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
    vi.resetModules()
  })
  const { systemClock: clock } = await import('./clock.ts')
  const startMs = clock.now()
  vi.advanceTimersByTime(1000)
  expect(clock.now()).toBe(startMs + 1000)
  vi.useRealTimers()
  // oxlint-disable-next-line no-restricted-globals -- what it reads is stubbed
  vi.spyOn(performance, 'now').mockReturnValueOnce(12).mockReturnValueOnce(34)
  expect([clock.now(), clock.now()]).toEqual([12, 34])
})

test('the time is asked of whatever `performance` is there, as Jest’s fake timers put another in its place', () => {
  vi.stubGlobal('performance', { now: () => 12 })
  vi.stubGlobal('setTimeout', () => 0)
  onTestFinished(() => void vi.unstubAllGlobals())
  expect(systemClock.now()).toBe(12)
})

describe('waits whose end is told', () => {
  /** The clock as if fake timers were the platform's own. */
  async function fakePlatform(): Promise<Clock> {
    vi.useFakeTimers()
    onTestFinished(() => {
      vi.unstubAllGlobals()
      vi.useRealTimers()
      // The next files of this worker would get this clock, which stands still.
      vi.resetModules()
    })
    vi.resetModules()
    return (await import('./clock.ts')).systemClock
  }

  const wait = (clock: Clock, delayMs: number, callback = (): void => {}): Timer =>
    clock.schedule(callback, delayMs, { dueMs: clock.now() + delayMs })

  test('end at it, whatever the timer was armed for that they have taken over', async () => {
    const clock = await fakePlatform()
    const startMs = clock.now()
    const ended: string[] = []
    const end = (name: string): (() => void) => {
      return () => void ended.push(`${name} ${clock.now() - startMs}`)
    }
    wait(clock, 100).cancel()
    vi.advanceTimersByTime(50)
    wait(clock, 100, end('later'))
    vi.advanceTimersByTime(200)
    wait(clock, 10_000).cancel()
    wait(clock, 10, end('sooner'))
    vi.advanceTimersByTime(10)
    wait(clock, 10).cancel()
    vi.advanceTimersByTime(10_000)
    wait(clock, 10, end('by an idle one'))
    vi.advanceTimersByTime(10)
    expect(ended).toEqual(['later 150', 'sooner 260', 'by an idle one 10270'])
  })

  test('arm one timer for all that come one after the other', async () => {
    const clock = await fakePlatform()
    for (let call = 0; call < 3; call++) wait(clock, 1000).cancel()
    expect(vi.getTimerCount()).toBe(1)
    for (const each of Array.from({ length: 200 }, () => wait(clock, 1000))) each.cancel()
    expect(vi.getTimerCount(), 'of many at a time so many stay').toBe(100)
  })

  test('are each one’s own, also when their ends have cancelled those before, and twice', async () => {
    const clock = await fakePlatform()
    const ended: string[] = []
    const first = wait(clock, 10, () => {
      wait(clock, 10, () => void ended.push('set off'))
      first.cancel()
    })
    vi.advanceTimersByTime(10)
    first.cancel()
    for (const name of ['one', 'other']) wait(clock, 20, () => void ended.push(name))
    vi.advanceTimersByTime(20)
    expect(ended).toEqual(['set off', 'one', 'other'])
  })

  test('whatever is started, cancelled and waited for, each ends when it is due, or never', async () => {
    const clock = await fakePlatform()
    const step = fc.oneof(
      fc.record({ kind: fc.constant('start' as const), ms: fc.constantFrom(5, 20, 21, 60) }),
      fc.record({ kind: fc.constant('cancel' as const), ms: fc.nat(9) }),
      fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(25) }),
    )
    fc.assert(
      fc.property(fc.array(step, { minLength: 40, maxLength: 80 }), (steps) => {
        const waits: { readonly dueMs: number; endedMs?: number; timer?: Timer | undefined }[] = []
        const cancel = (each: (typeof waits)[number] | undefined): void => {
          each?.timer?.cancel()
          if (each !== undefined) each.timer = undefined
        }
        for (const { kind, ms } of steps) {
          if (kind === 'advance') vi.advanceTimersByTime(ms)
          else if (kind === 'cancel') cancel(waits.at(-1 - ms))
          else {
            const each: (typeof waits)[number] = { dueMs: clock.now() + ms }
            waits.push(each)
            each.timer = wait(clock, ms, () => {
              each.endedMs = each.timer === undefined ? Number.NaN : clock.now()
              cancel(each)
            })
          }
          const isWrong = waits.some(({ dueMs, endedMs = dueMs, timer }) =>
            timer === undefined ? endedMs !== dueMs : dueMs <= clock.now(),
          )
          expect(isWrong).toBe(false)
        }
        for (const each of waits) cancel(each)
      }),
      { numRuns: 50 },
    )
  })

  test('leave none where it would hold the process, as a number does in Deno', async () => {
    const clock = await fakePlatform()
    const { setTimeout: set } = globalThis
    vi.stubGlobal('setTimeout', (callback: () => void, delayMs: number) => Number(set(callback, delayMs)))
    vi.resetModules()
    wait((await import('./clock.ts')).systemClock, 1000).cancel()
    wait(clock, 1000).cancel()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('have timers of their own on workers, and while others have taken the place of the platform’s', async () => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
    wait(await fakePlatform(), 1000).cancel()
    expect(vi.getTimerCount()).toBe(0)
    vi.unstubAllGlobals()
    wait(systemClock, 1000).cancel()
    expect(vi.getTimerCount()).toBe(0)
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
