import { expect, test } from 'vitest'
import { Scope } from '../../primitives/signal.ts'
import { virtualClock } from '../../testing/index.ts'
import { paced } from './pacing.ts'

test('items come in evenly, and it ends with the last one', async () => {
  const clock = virtualClock()
  const startedMs: number[] = []
  let done = false
  const pace = { clock, scope: new Scope(), overMs: 1000, atMost: 10 }
  const all = paced([0, 1, 2, 3], pace, async () => void startedMs.push(clock.now())).then(
    () => (done = true),
  )
  await clock.advance(749)
  expect(done).toBe(false)
  await clock.advance(1)
  await all
  expect(startedMs).toEqual([0, 250, 500, 750])
})

test('no more than so many at a time; late ones are caught up with', async () => {
  const clock = virtualClock()
  const finish: (() => void)[] = []
  const pace = { clock, scope: new Scope(), overMs: 400, atMost: 2 }
  let done = false
  const work = (): Promise<void> => new Promise((resolve) => finish.push(resolve))
  const all = paced([0, 1, 2, 3], pace, work).then(() => (done = true))
  await clock.advance(1000)
  expect(finish).toHaveLength(2)
  finish[0]?.()
  finish[1]?.()
  await clock.settle()
  expect(finish).toHaveLength(4)
  finish[2]?.()
  await clock.settle()
  expect(done).toBe(false)
  finish[3]?.()
  await all
})

test('an abort ends it, and what the running ones do then is nobody else’s problem', async () => {
  const clock = virtualClock()
  const scope = new Scope()
  const pace = { clock, scope, overMs: 1000, atMost: 10 }
  const all = paced([0, 1], pace, () => Promise.reject(new Error('late')))
  const outcome = all.catch((error: unknown) => error)
  scope.abort(new Error('interrupted'), 'caller')
  expect(await outcome).toEqual(new Error('interrupted'))
})
