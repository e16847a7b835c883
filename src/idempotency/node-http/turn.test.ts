import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { endOfTurn } from './turn.ts'

test('a turn of the event loop ends once for all who wait for it, and the next one anew', async () => {
  const turn = endOfTurn()
  await Promise.resolve()
  expect(endOfTurn()).toBe(turn)
  await turn
  const next = endOfTurn()
  expect(next).not.toBe(turn)
  await nextTurn()
  await next
})
