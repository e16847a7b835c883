import { expect, test } from 'vitest'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { endSoon } from './ending.ts'

test('a process that does not end is ended as a failure, and says what was left open', async () => {
  const clock = virtualClock()
  const seen: unknown[] = []
  endSoon({
    clock,
    holders: () => ['TCPSocketWrap', 'ProcessWrap'],
    say: (line) => seen.push(line),
    exit: (code) => seen.push(code),
  })
  await clock.advance(4999)
  expect(seen).toEqual([])
  await clock.advance(1)
  expect(seen).toEqual([expect.stringContaining('Left open: TCPSocketWrap, ProcessWrap'), 3])
})
