import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Quotas } from './quotas.ts'

const report = (remaining: number, resetMs = 1000, rest: { limit?: number; windowMs?: number } = {}) => ({
  name: 'x',
  remaining,
  resetMs,
  limit: rest.limit,
  windowMs: rest.windowMs,
})

const news = (...quotas: ReturnType<typeof report>[]) => ({ quotas, pauseMs: 0 })

/** One request at a time that the service answers at once. */
function learn(quotas: Quotas, nowMs: number, ...reports: ReturnType<typeof report>[]): void {
  quotas.settle(quotas.take(), nowMs, news(...reports))
}

describe('quotas', () => {
  test('nothing is known, nothing is waited for', () => {
    expect(new Quotas().waitMs(0)).toBe(0)
  })

  test('an empty one is waited for until its reset', () => {
    const quotas = new Quotas()
    learn(quotas, 0, report(0, 1000))
    expect(quotas.waitMs(0)).toBe(1000)
    expect(quotas.waitMs(400)).toBe(600)
    expect(quotas.waitMs(1000)).toBe(0)
  })

  test('own requests count before their answers come', () => {
    const quotas = new Quotas()
    learn(quotas, 0, report(2))
    quotas.take()
    expect(quotas.waitMs(0)).toBe(0)
    quotas.take()
    expect(quotas.waitMs(0)).toBe(1000)
  })

  test('what is on its way was not in the service’s count', () => {
    const quotas = new Quotas()
    const first = quotas.take()
    quotas.take()
    quotas.take()
    quotas.settle(first, 0, news(report(2)))
    expect(quotas.waitMs(0)).toBe(1000)
  })

  test('an answer that was overtaken says nothing new', () => {
    const quotas = new Quotas()
    const [first, second] = [quotas.take(), quotas.take()]
    quotas.settle(second, 0, news(report(0)))
    quotas.settle(first, 0, news(report(1)))
    expect(quotas.waitMs(0)).toBe(1000)
  })

  test('the longest wait of several counts', () => {
    const quotas = new Quotas()
    learn(quotas, 0, report(0, 1000), { ...report(0, 5000), name: 'y' }, { ...report(9, 9000), name: 'z' })
    expect(quotas.waitMs(0)).toBe(5000)
  })

  test('a quota of known size and window is whole after its reset, and used up again', () => {
    const quotas = new Quotas()
    learn(quotas, 0, report(0, 1000, { limit: 2, windowMs: 10_000 }))
    expect(quotas.waitMs(1000)).toBe(0)
    quotas.take()
    quotas.take()
    expect(quotas.waitMs(1500)).toBe(9500)
  })

  test('of unknown size it is as large as was ever left; after an empty one, a single request finds out', () => {
    const quotas = new Quotas()
    learn(quotas, 0, report(0, 1000))
    expect(quotas.waitMs(1000)).toBe(0)
    const scout = quotas.take()
    expect(quotas.waitMs(1000)).toBe(1000)
    quotas.settle(scout, 1100, news(report(4, 900)))
    for (let count = 0; count < 4; count++) {
      expect(quotas.waitMs(1100)).toBe(0)
      quotas.take()
    }
    expect(quotas.waitMs(1100)).toBe(900)
  })

  test('what is on its way at the reset may count in the new window', () => {
    const quotas = new Quotas()
    learn(quotas, 0, report(1, 1000, { limit: 2, windowMs: 1000 }))
    quotas.take()
    expect(quotas.waitMs(1000)).toBe(0)
    quotas.take()
    expect(quotas.waitMs(1000)).toBe(1000)
  })

  test('a pause holds everything back, then it is over', () => {
    const quotas = new Quotas()
    quotas.settle(quotas.take(), 0, { quotas: [], pauseMs: 500 })
    quotas.settle(quotas.take(), 100, { quotas: [], pauseMs: 200 })
    expect(quotas.waitMs(100)).toBe(400)
    expect(quotas.isIdle(499)).toBe(false)
    expect(quotas.waitMs(500)).toBe(0)
    quotas.take()
    expect(quotas.waitMs(500)).toBe(0)
  })

  test('a service that makes up names is not remembered without end', () => {
    const quotas = new Quotas()
    const many = Array.from({ length: 100 }, (_, at) => ({ ...report(0, 1000 + at), name: String(at) }))
    learn(quotas, 0, ...many)
    expect(quotas.waitMs(0)).toBe(1015)
  })

  test('are idle with nothing under way and no quota running', () => {
    const quotas = new Quotas()
    expect(quotas.isIdle(0)).toBe(true)
    const request = quotas.take()
    expect(quotas.isIdle(0)).toBe(false)
    quotas.settle(request, 0, news(report(5, 1000)))
    expect(quotas.isIdle(999)).toBe(false)
    expect(quotas.isIdle(1000)).toBe(true)
  })
})

test('a client that asks before it sends never exceeds a fixed window, whatever overtakes what', () => {
  const step = fc.record({
    passMs: fc.integer({ min: 0, max: 400 }),
    answers: fc.integer({ min: 0, max: 3 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 6 }), (steps, limit) => {
      const quotas = new Quotas()
      const windowMs = 1000
      let nowMs = 0
      // The service counts what it gets in windows of a second, and answers later, in any order.
      let used = 0
      const pending: { request: number; window: number; remaining: number }[] = []
      const send = (): void => {
        used++
        expect(used).toBeLessThanOrEqual(limit)
        pending.push({
          request: quotas.take(),
          window: Math.floor(nowMs / windowMs),
          remaining: limit - used,
        })
      }
      const answer = ({ request, window, remaining }: (typeof pending)[number]): void => {
        const fresh = window === Math.floor(nowMs / windowMs)
        const resetMs = (Math.floor(nowMs / windowMs) + 1) * windowMs - nowMs
        quotas.settle(request, nowMs, fresh ? news(report(remaining, resetMs, { limit, windowMs })) : news())
      }
      send()
      answer(pending.pop() as (typeof pending)[number])
      for (const { passMs, answers } of steps) {
        const before = Math.floor(nowMs / windowMs)
        nowMs += passMs
        if (Math.floor(nowMs / windowMs) !== before) used = 0
        for (let count = 0; count < answers; count++) {
          const at = (nowMs * 7 + count) % Math.max(1, pending.length)
          for (const each of pending.splice(at, 1)) answer(each)
        }
        if (quotas.waitMs(nowMs) === 0) send()
      }
    }),
  )
})
