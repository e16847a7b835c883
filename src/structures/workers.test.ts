import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { watch } from '../../test/support/operations.ts'
import { systemClock } from '../primitives/clock.ts'
import { pipeline } from '../core/pipeline.ts'
import { coalesce } from '../policies/coalesce.ts'
import { Semaphore } from './semaphore.ts'
import { Scope } from '../primitives/signal.ts'
import { virtualClock, type VirtualClock } from '../testing/virtual-clock.ts'
import { WaitingRoom } from './waiting-room.ts'
import { Leases, Line } from './workers.ts'

beforeEach(() => void vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' }))
afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

/** Those of the system, on a virtual clock. */
function timers(): VirtualClock {
  const clock = virtualClock()
  vi.spyOn(systemClock, 'now').mockImplementation(() => clock.now())
  vi.spyOn(systemClock, 'schedule').mockImplementation((...given) => clock.schedule(...given))
  return clock
}

describe('on workers', () => {
  test('who waits for news is woken by its own timer and by nobody else', async () => {
    const clock = virtualClock()
    const room = new WaitingRoom(clock)
    let woken = false
    const waiting = room.wait(new Scope(), undefined).then(() => (woken = true))
    expect(room.size).toBe(1)
    room.wakeAll()
    await clock.advance(24)
    expect(woken).toBe(false)
    await clock.advance(1)
    await waiting
    expect(room.size).toBe(0)
  })

  test.each([
    ['sooner than they look again', 10, 10],
    ['later', 1000, 25],
  ])('who waits for a time looks at it: %s', async (_, delayMs, wokenMs) => {
    const clock = virtualClock()
    const waiting = watch(new Line(clock).wait(new Scope(), delayMs))
    await clock.advance(wokenMs - 1)
    expect(waiting.settled).toBe(false)
    await clock.advance(1)
    expect(waiting.settled).toBe(true)
  })

  test('who looks first does not overtake who has come first', async () => {
    const clock = virtualClock()
    const line = new Line(clock)
    const order: string[] = []
    let free = false
    const enter = (name: string) => () => free && order.push(name) > 0
    const first = line.turn(new Scope(), enter('first'))
    await clock.advance(10)
    const second = line.turn(new Scope(), enter('second'))
    await clock.advance(20)
    free = true
    await clock.advance(100)
    await Promise.all([first, second])
    expect(order).toEqual(['first', 'second'])
  })

  test('who never looks again does not hold up who comes behind', async () => {
    const clock = virtualClock()
    const schedule = vi.spyOn(clock, 'schedule').mockReturnValueOnce({ cancel: () => {} })
    const line = new Line(clock)
    void line.turn(new Scope(), () => true)
    const behind = watch(line.turn(new Scope(), () => true))
    expect(schedule).toHaveBeenCalledTimes(2)
    await clock.advance(5000)
    expect(behind.settled).toBe(false)
    await clock.advance(25)
    expect(behind.settled).toBe(true)
  })

  test('a line lets in who came first, and who has come last may leave', async () => {
    const clock = virtualClock()
    const line = new Line(clock)
    const order: string[] = []
    let free = false
    const enter = (name: string) => () => free && order.push(name) > 0
    const leaving = new Scope()
    const turns = [
      line.turn(new Scope(), enter('first')),
      line.turn(new Scope(), enter('second')),
      line.turn(leaving, enter('third')).catch((error: unknown) => order.push(String(error))),
    ]
    await clock.advance(100)
    expect(line.size).toBe(3)
    leaving.abort('left', 'caller')
    free = true
    await clock.advance(100)
    await Promise.all(turns)
    expect(order).toEqual(['left', 'first', 'second'])
  })

  test('who never looks again, since its request has ended, is forgotten', async () => {
    const clock = virtualClock()
    const dead = { ...clock, schedule: () => ({ cancel: () => {} }) }
    const line = new Line(Object.assign(dead, { now: () => clock.now() }))
    void line.wait(new Scope())
    await clock.advance(5000)
    expect(line.size).toBe(1)
    await clock.advance(1)
    expect(line.size).toBe(0)
  })

  test('a place ends with the call that held it; one that was given back does not end again', async () => {
    const clock = virtualClock()
    const leases = new Leases(clock)
    const start = clock.now()
    for (const endMs of [300, 100, 200, Infinity]) leases.add(start + endMs)
    expect(leases.giveBack()).toBe(true)
    await clock.advance(200)
    expect(leases.takeEnded()).toBe(1)
    expect(leases.takeEnded()).toBe(0)
    expect([leases.giveBack(), leases.giveBack(), leases.giveBack()]).toEqual([true, true, false])
  })

  test('places are taken in turn, and nobody overtakes who has come first', async () => {
    const clock = timers()
    const places = new Semaphore(1, 2)
    const full = (): Error => new Error('full')
    const enter = () => places.enter(new Scope(), full)
    expect(enter()).toBeUndefined()
    const [first, second] = [enter(), enter()].map((turn) => watch(Promise.resolve(turn)))
    expect(enter).toThrow('full')
    expect([places.running, places.queued]).toEqual([1, 2])
    places.leave()
    // It is free, but who is first looks at it only when its own timer goes off.
    expect(places.running).toBe(0)
    expect(enter).toThrow('full')
    await clock.advance(25)
    expect([first?.settled, second?.settled]).toEqual([true, false])
    expect([places.running, places.queued]).toEqual([1, 1])
    const third = watch(Promise.resolve(enter()))
    places.leave()
    await clock.advance(25)
    expect([second?.settled, third.settled]).toEqual([true, false])
  })

  test('a place of a request that has ended is free at the end of its call, and is given back once', async () => {
    const clock = timers()
    const places = new Semaphore(2, 2)
    const full = (): Error => new Error('full')
    const endMs = clock.now() + 100
    void places.enter(new Scope(), full, endMs)
    void places.enter(new Scope(), full, endMs + 1000)
    const waiting = watch(Promise.resolve(places.enter(new Scope(), full)))
    await clock.advance(75)
    expect([waiting.settled, places.running]).toEqual([false, 2])
    await clock.advance(50)
    expect([waiting.settled, places.running]).toEqual([true, 2])
    places.leave()
    places.leave()
    // The late end of what has been counted as ended.
    places.leave()
    expect(places.running).toBe(0)
  })

  test('executions are not joined', async () => {
    let runs = 0
    const joined = pipeline(coalesce({ key: () => 'same' }))
    await Promise.all([1, 2, 3].map(() => joined.execute(() => Promise.resolve(++runs))))
    expect(runs).toBe(3)
  })
})
