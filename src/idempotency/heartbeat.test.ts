import { describe, expect, test } from 'vitest'
import { virtualClock, type VirtualClock } from '../testing/virtual-clock.ts'
import { Heartbeat } from './heartbeat.ts'

interface Watched {
  readonly clock: VirtualClock
  readonly heartbeat: Heartbeat
  readonly beatsMs: number[]
  readonly errors: unknown[]
  lostMs: number | undefined
}

function watch(extend: () => Promise<'extended' | 'lost'>, lostWhenOver = false): Watched {
  const clock = virtualClock()
  const beatsMs: number[] = []
  const errors: unknown[] = []
  const watched: { lostMs: number | undefined } = { lostMs: undefined }
  const heartbeat = new Heartbeat({
    clock,
    leaseMs: 300,
    lostWhenOver,
    extend: () => {
      beatsMs.push(clock.now())
      return extend()
    },
    onError: (error) => errors.push(error),
    onLost: () => {
      watched.lostMs = clock.now()
    },
  })
  return Object.assign(watched, { clock, heartbeat, beatsMs, errors })
}

describe('a heartbeat', () => {
  test('comes three times a lease, until it is stopped', async () => {
    const { clock, heartbeat, beatsMs } = watch(async () => 'extended')
    await clock.advance(350)
    expect(beatsMs).toEqual([100, 200, 300])
    heartbeat.stop()
    expect(clock.pending).toBe(0)
    await clock.advance(1000)
    expect(beatsMs.length).toBe(3)
  })

  test('that finds the key lost says so once, and stops', async () => {
    const watched = watch(async () => 'lost')
    await watched.clock.advance(1000)
    expect(watched.lostMs).toBe(100)
    expect(watched.beatsMs).toEqual([100])
    expect(watched.clock.pending).toBe(0)
  })

  test('that fails is tried again, and two failures lose nothing', async () => {
    let left = 2
    const watched = watch(async () => {
      if (left-- > 0) throw new Error('away')
      return 'extended'
    }, true)
    await watched.clock.advance(500)
    expect(watched.errors.length).toBe(2)
    expect(watched.lostMs).toBeUndefined()
    watched.heartbeat.stop()
  })

  test('that fails for a whole lease is lost where others may take the key over, and only there', async () => {
    const fail = async (): Promise<never> => {
      throw new Error('away')
    }
    const takeover = watch(fail, true)
    await takeover.clock.advance(1000)
    expect(takeover.lostMs).toBe(300)
    const block = watch(fail, false)
    await block.clock.advance(1000)
    expect(block.lostMs).toBeUndefined()
    expect(block.beatsMs.length).toBe(10)
    block.heartbeat.stop()
  })

  test('that was answered has moved the end of the lease', async () => {
    let left = 1
    const watched = watch(async () => {
      if (left-- > 0) return 'extended'
      throw new Error('away')
    }, true)
    await watched.clock.advance(1000)
    // A lease of 300 from the only beat that was answered, at 100.
    expect(watched.lostMs).toBe(400)
  })

  test('goes on while a store hangs', async () => {
    const { clock, heartbeat, beatsMs } = watch(() => new Promise(() => {}))
    await clock.advance(350)
    expect(beatsMs).toEqual([100, 200, 300])
    heartbeat.stop()
  })

  test('that is answered after it was stopped says nothing', async () => {
    let answer: (answer: 'lost') => void = () => {}
    const watched = watch(() => new Promise((resolve) => (answer = resolve)))
    await watched.clock.advance(100)
    watched.heartbeat.stop()
    answer('lost')
    await watched.clock.settle()
    expect(watched.lostMs).toBeUndefined()
  })
})
