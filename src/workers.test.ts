import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { pipeline } from './pipeline.ts'
import { coalesce } from './policies/coalesce.ts'
import { Scope } from './signal.ts'
import { virtualClock } from './testing/virtual-clock.ts'
import { WaitingRoom } from './waiting-room.ts'
import { onWorkers } from './on-workers.ts'
import { Leases, Line } from './workers.ts'

beforeEach(() => void vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' }))
afterEach(() => void vi.unstubAllGlobals())

test('only their own name makes it a worker', () => {
  expect(onWorkers()).toBe(true)
  vi.stubGlobal('navigator', { userAgent: 'Node.js/24' })
  expect(onWorkers()).toBe(false)
  vi.stubGlobal('navigator', undefined)
  expect(onWorkers()).toBe(false)
})

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
    await clock.advance(250)
    expect(leases.takeEnded()).toBe(1)
    expect(leases.takeEnded()).toBe(0)
    expect([leases.giveBack(), leases.giveBack(), leases.giveBack()]).toEqual([true, true, false])
  })

  test('executions are not joined', async () => {
    let runs = 0
    const joined = pipeline(coalesce({ key: () => 'same' }))
    await Promise.all([1, 2, 3].map(() => joined.execute(() => Promise.resolve(++runs))))
    expect(runs).toBe(3)
  })
})
