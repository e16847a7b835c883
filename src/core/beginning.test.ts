import { describe, expect, test } from 'vitest'
import { createFetch } from '../client/create-fetch.ts'
import type { Clock } from '../primitives/clock.ts'
import { pipeline, type Pipeline } from './pipeline.ts'
import { circuitBreaker } from '../policies/circuit-breaker/circuit-breaker.ts'
import { retry } from '../policies/retry.ts'
import { retryBudget } from '../policies/retry-budget.ts'
import { timeout } from '../policies/timeout.ts'
import { virtualClock } from '../testing/virtual-clock.ts'

/** A clock that counts how often it is read. */
function counted() {
  const inner = virtualClock()
  let readings = 0
  const clock: Clock = {
    now() {
      readings++
      return inner.now()
    },
    wallNow: () => inner.wallNow(),
    schedule: (...wait) => inner.schedule(...wait),
  }
  /** How often `work` reads it. */
  const during = async (work: () => Promise<unknown>): Promise<number> => {
    const before = readings
    await work().catch(() => {})
    return readings - before
  }
  return { clock, inner, during }
}

describe('what begins in one step reads the clock once', () => {
  const whole = (clock: Clock): { all: Pipeline; breaker: ReturnType<typeof circuitBreaker> } => {
    const breaker = circuitBreaker({ clock })
    const all = pipeline(
      timeout({ totalMs: 60_000, clock }),
      retryBudget({ clock }),
      retry({ clock }),
      breaker,
      timeout({ attemptMs: 1000, clock }),
    )
    return { all, breaker }
  }

  test('a pipeline: as it begins, and as the breaker counts it', async () => {
    const { clock, during } = counted()
    const { all } = whole(clock)
    await all.execute(() => 'first')
    expect(await during(() => all.execute(() => 'done'))).toBe(2)
  })

  test('a refused call', async () => {
    const { clock, during } = counted()
    const { all, breaker } = whole(clock)
    await all.execute(() => 'first')
    breaker.circuits.get('default').isolate()
    expect(await during(() => all.execute(() => 'never'))).toBe(1)
  })

  test('a call of createFetch', async () => {
    const { clock, during } = counted()
    const fetch = createFetch({ clock, fetch: async () => new Response('ok') })
    await fetch('http://x.test/')
    expect(await during(() => fetch('http://x.test/'))).toBe(2)
  })
})

test('what begins later within the same scope has a time of its own', async () => {
  const { clock, inner } = counted()
  const late = pipeline(
    timeout({ totalMs: 1000, clock }),
    {
      name: 'waits',
      wrap: (next) => async (context) => {
        await inner.advance(600)
        return next(context)
      },
    },
    timeout({ attemptMs: 300, clock }),
  )
  const deadlines: number[] = []
  const beganMs = inner.now()
  await late.execute(({ deadline }) => void deadlines.push(deadline - beganMs))
  expect(deadlines).toEqual([900])
})

test('a breaker with a clock of its own goes by that', async () => {
  const [outer, own] = [virtualClock(), virtualClock()]
  await outer.advance(1_000_000)
  const breaker = circuitBreaker({ consecutive: 1, clock: own })
  const guarded = pipeline(timeout({ totalMs: 1000, clock: outer }), breaker)
  await guarded.execute(() => Promise.reject(new Error('down'))).catch(() => {})
  await expect(guarded.execute(() => 'too early')).rejects.toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  await own.advance(60_000)
  expect(await guarded.execute(() => 'a test request')).toBe('a test request')
})
