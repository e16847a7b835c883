import { describe, expect, test } from 'vitest'
import { watch } from '../../test/support/operations.ts'
import type { Clock } from '../primitives/clock.ts'
import { Scope } from '../primitives/signal.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { WaitingRoom } from './waiting-room.ts'

describe('a waiting room', () => {
  test('lets go when the time has come, or at news before', async () => {
    const clock = virtualClock()
    const room = new WaitingRoom(clock)
    const [short, long] = [100, 1000].map((delayMs) => watch(room.wait(new Scope(), delayMs)))
    await clock.advance(100)
    expect([short?.settled, long?.settled, room.size]).toEqual([true, false, 1])
    room.wakeAll()
    await clock.settle()
    expect([long?.settled, room.size, clock.pending]).toEqual([true, 0, 0])
  })

  test('without a time only news ends the wait', async () => {
    const clock = virtualClock()
    const room = new WaitingRoom(clock)
    const waiting = watch(room.wait(new Scope(), undefined))
    expect(clock.pending).toBe(0)
    await clock.advance(3_600_000)
    expect(waiting.settled).toBe(false)
    room.wakeAll()
    await clock.settle()
    expect(waiting.settled).toBe(true)
  })

  test('whoever is called off leaves with the reason, and no timer stays', async () => {
    const clock = virtualClock()
    const room = new WaitingRoom(clock)
    const scope = new Scope()
    const waiting = watch(room.wait(scope, 100))
    scope.abort('gone', 'caller')
    await clock.settle()
    expect([waiting.error, room.size, clock.pending]).toEqual(['gone', 0, 0])
  })

  test('whoever was called off before does not come in', async () => {
    const clock = virtualClock()
    const room = new WaitingRoom(clock)
    const scope = new Scope()
    scope.abort('gone', 'caller')
    const waiting = watch(room.wait(scope, 100))
    expect([room.size, clock.pending]).toEqual([0, 0])
    await clock.settle()
    expect(waiting.error).toBe('gone')
  })

  test('a wait for a time keeps the process alive', () => {
    const asked: unknown[] = []
    const clock: Clock = {
      ...virtualClock(),
      schedule(_callback, _delayMs, options) {
        asked.push(options?.keepAlive)
        return { cancel() {} }
      },
    }
    void new WaitingRoom(clock).wait(new Scope(), 100)
    expect(asked).toEqual([true])
  })
})
