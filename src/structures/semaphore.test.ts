import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { watch } from '../../test/support/operations.ts'
import { Semaphore } from './semaphore.ts'
import { Scope } from '../primitives/signal.ts'
import { virtualClock } from '../testing/virtual-clock.ts'

const full = (): Error => new Error('full')
const settle = (): Promise<void> => virtualClock().settle()

/** How an entry has ended so far: an entry at once gives no promise, a refusal throws. */
function enter(places: Semaphore, scope = new Scope()): { error?: unknown; settled: boolean } {
  try {
    const turn = places.enter(scope, full)
    return turn === undefined ? { settled: true } : watch(turn)
  } catch (error) {
    return { error, settled: true }
  }
}

describe('Semaphore', () => {
  test('lets in as many as its limit, queues as many as may wait, refuses the rest', async () => {
    const places = new Semaphore(2, 1)
    const entries = Array.from({ length: 4 }, () => enter(places))
    await settle()
    expect(entries.map(({ settled }) => settled)).toEqual([true, true, false, true])
    expect(entries[3]?.error).toEqual(full())
    expect(places.summary).toBe('2 running (at most 2), 1 waiting (at most 1)')
  })

  test('first come, first served', async () => {
    const places = new Semaphore(1, 10)
    enter(places)
    const waiting = Array.from({ length: 3 }, () => enter(places))
    const order: number[] = []
    for (const _ of waiting) {
      places.leave()
      await settle()
      order.push(waiting.filter(({ settled }) => settled).length - 1)
      expect(waiting[order.length - 1]?.settled).toBe(true)
    }
    expect(order).toEqual([0, 1, 2])
  })

  test.each([0, 1, 2])(
    'an abort leaves the queue from place %d, and the others keep their order',
    async (which) => {
      const places = new Semaphore(1, 10)
      enter(places)
      const scopes = Array.from({ length: 3 }, () => new Scope())
      const waiting = scopes.map((scope) => enter(places, scope))
      scopes[which]?.abort('gone', 'caller')
      await settle()
      expect(waiting[which]?.error).toBe('gone')
      expect(places.queued).toBe(2)
      const [next, last] = waiting.filter((_, index) => index !== which)
      places.leave()
      await settle()
      expect([next?.settled, last?.settled]).toEqual([true, false])
      places.leave()
      await settle()
      expect(last?.settled).toBe(true)
    },
  )

  test('a scope that has ended takes no place and no room in the queue', () => {
    const places = new Semaphore(1, 1)
    const scope = new Scope()
    scope.abort('gone', 'caller')
    expect(enter(places, scope).error).toBe('gone')
    expect(places.isIdle).toBe(true)
  })

  test('a scope that ends between its turn and its start hands the place on', async () => {
    const places = new Semaphore(1, 2)
    enter(places)
    const scope = new Scope()
    const first = enter(places, scope)
    const second = enter(places)
    places.leave()
    scope.abort('gone', 'caller')
    await settle()
    expect(first.error).toBe('gone')
    expect(second).toMatchObject({ settled: true })
    expect([places.running, places.queued]).toEqual([1, 0])
  })

  test('an abort after the turn was used changes nothing', async () => {
    const places = new Semaphore(1, 1)
    enter(places)
    const scope = new Scope()
    enter(places, scope)
    places.leave()
    await settle()
    scope.abort('late', 'caller')
    await settle()
    expect([places.running, places.queued]).toEqual([1, 0])
  })

  test('a higher limit lets in those who wait; a lower one lets nobody in until enough have left', async () => {
    const places = new Semaphore(1, 10)
    const entries = Array.from({ length: 5 }, () => enter(places))
    places.limit = 3
    await settle()
    expect(entries.map(({ settled }) => settled)).toEqual([true, true, true, false, false])
    places.limit = 1
    places.leave()
    places.leave()
    await settle()
    expect(entries[3]?.settled).toBe(false)
    places.leave()
    await settle()
    expect(entries.map(({ settled }) => settled)).toEqual([true, true, true, true, false])
  })

  test('over random sequences nobody is lost, let in twice or overtaken', async () => {
    const step = fc.oneof(
      fc.constant({ kind: 'enter' as const }),
      fc.constant({ kind: 'leave' as const }),
      fc.record({ kind: fc.constant('abort' as const), which: fc.nat({ max: 20 }) }),
      fc.record({ kind: fc.constant('limit' as const), limit: fc.integer({ min: 1, max: 4 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        const places = new Semaphore(2, 5)
        const model = { limit: 2, running: 0, queue: [] as number[], refused: [] as number[] }
        const scopes: Scope[] = []
        const entries: { error?: unknown; settled: boolean }[] = []
        const admit = (): void => {
          while (model.running < model.limit && model.queue.shift() !== undefined) model.running++
        }
        for (const each of steps) {
          if (each.kind === 'enter') {
            const id = scopes.push(new Scope()) - 1
            entries.push(enter(places, scopes[id]))
            if (model.running < model.limit) model.running++
            else if (model.queue.length < 5) model.queue.push(id)
            else model.refused.push(id)
          } else if (each.kind === 'leave' && model.running > 0) {
            places.leave()
            model.running--
            admit()
          } else if (each.kind === 'limit') {
            places.limit = model.limit = each.limit
            admit()
          } else if (each.kind === 'abort' && model.queue.includes(each.which)) {
            scopes[each.which]?.abort('gone', 'caller')
            model.queue.splice(model.queue.indexOf(each.which), 1)
          }
          await settle()
          expect([places.running, places.queued]).toEqual([model.running, model.queue.length])
          const unsettled = entries.flatMap(({ settled }, id) => (settled ? [] : [id]))
          expect(unsettled).toEqual(model.queue)
        }
        expect(entries.filter(({ error }) => error instanceof Error)).toHaveLength(model.refused.length)
      }),
      { numRuns: 60 },
    )
  })
})
