import { expect, test } from 'vitest'
import { delay } from '../primitives/delay.ts'
import { Scope } from '../primitives/signal.ts'
import { noBackoff } from './index.ts'

test('a backoff of an hour ends at once', async () => {
  await expect(delay(noBackoff.clock, 3_600_000, new Scope())).resolves.toBeUndefined()
})

test('a timeout keeps its time', async () => {
  let timedOut = false
  const timer = noBackoff.clock.schedule(() => (timedOut = true), 3_600_000)
  await delay(noBackoff.clock, 3_600_000, new Scope())
  expect(timedOut).toBe(false)
  timer.cancel()
})

test('time itself goes on as it does', () => {
  const before = noBackoff.clock.now()
  expect(noBackoff.clock.now()).toBeGreaterThanOrEqual(before)
  expect(noBackoff.clock.wallNow()).toBeGreaterThan(Date.UTC(2025, 0, 1))
})
