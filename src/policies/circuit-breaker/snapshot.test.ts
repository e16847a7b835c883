import { describe, expect, test } from 'vitest'
import { isHoldfastError } from '../../primitives/errors.ts'
import { bench, type Bench } from './circuit.test-support.ts'
import type { CircuitSettings } from './rules.ts'
import type { CircuitSnapshot } from './snapshot.ts'

/** The circuit in another process: what is kept of it is text. */
async function moved(from: Bench, settings: Partial<CircuitSettings> = {}, ageMs?: number): Promise<Bench> {
  const to = bench(settings)
  // Another machine's monotonic clock has another zero.
  await to.clock.advance(123_456)
  to.circuit.restore(JSON.parse(JSON.stringify(from.circuit.snapshot())) as CircuitSnapshot, ageMs)
  return to
}

const closed: CircuitSnapshot = {
  version: 1,
  state: 'closed',
  openForMs: 0,
  openings: 0,
  failuresInARow: 0,
  windowMs: 30_000,
  buckets: [],
}

describe('snapshot', () => {
  test('of a new circuit', () => {
    expect(bench().circuit.snapshot()).toEqual(closed)
  })

  test('tells what the window has counted, the newest tenth first', async () => {
    const { circuit, run, clock } = bench({ slowCall: { durationMs: 1000, rate: 1 } })
    run('success', 3)
    await clock.advance(3000)
    run('failure', 2, 1001)
    expect(circuit.snapshot()).toEqual({
      ...closed,
      failuresInARow: 2,
      buckets: [
        { successes: 0, failures: 2, slow: 2 },
        { successes: 3, failures: 0, slow: 0 },
      ],
    })
  })

  test('tells what is left of the open time, not when it ends', async () => {
    const { circuit, run, clock } = bench()
    run('failure', 10)
    await clock.advance(1500)
    expect(circuit.snapshot()).toEqual({ ...closed, state: 'open', openForMs: 3500, openings: 1 })
    clock.jumpWall(3_600_000)
    expect(circuit.snapshot().openForMs).toBe(3500)
    await clock.advance(10_000)
    expect(circuit.snapshot().openForMs).toBe(0)
  })
})

describe('restore', () => {
  test('a closed circuit goes on counting', async () => {
    const from = bench()
    from.run('failure', 9)
    const { circuit, run, events } = await moved(from)
    expect(circuit.state).toBe('closed')
    expect(events).toEqual([])
    run('failure')
    expect(circuit.state).toBe('open')
  })

  test('what it counted leaves the window as it would have', async () => {
    const from = bench()
    from.run('failure', 9)
    const { circuit, run, clock } = await moved(from)
    await clock.advance(30_000)
    run('failure', 9)
    expect(circuit.state).toBe('closed')
  })

  test('a row of failures goes on', async () => {
    const from = bench({ consecutive: 3 })
    from.run('failure', 2)
    const { circuit, run } = await moved(from, { consecutive: 3 })
    run('failure')
    expect(circuit.state).toBe('open')
  })

  test('an open circuit stays open for the rest of its time, then doubles it', async () => {
    const from = bench()
    from.run('failure', 10)
    await from.clock.advance(1500)
    const { circuit, run, clock, events } = await moved(from)
    expect(circuit.state).toBe('open')
    expect(events).toEqual([
      { type: 'circuit-open', key: 'api', retryAfterMs: 3500, isolated: false, cause: 'restored' },
    ])
    await clock.advance(3499)
    expect(run('success')).toBe(0)
    await clock.advance(1)
    run('failure')
    expect(circuit.retryAfterMs).toBe(10_000)
  })

  test('a half-open circuit may be tested at once: its test request belongs to another process', async () => {
    const from = bench()
    from.run('failure', 10)
    await from.clock.advance(5000)
    from.circuit.tryAcquire()
    expect(from.circuit.snapshot().state).toBe('half-open')
    const { circuit, run } = await moved(from)
    expect(circuit.state).toBe('open')
    expect(circuit.retryAfterMs).toBe(0)
    expect(run('success')).toBe(1)
    expect(circuit.state).toBe('closed')
  })

  test('an isolated circuit stays isolated until it is reset', async () => {
    const from = bench()
    from.circuit.isolate()
    const { circuit, clock, events } = await moved(from)
    await clock.advance(3_600_000)
    expect(circuit.state).toBe('isolated')
    expect(events).toMatchObject([{ type: 'circuit-open', isolated: true, cause: 'isolated' }])
    circuit.restore(closed)
    expect(circuit.state).toBe('isolated')
    circuit.reset()
    expect(circuit.state).toBe('closed')
  })

  test('the age of the snapshot is time that has passed', async () => {
    const open = bench()
    open.run('failure', 10)
    expect((await moved(open, {}, 1000)).circuit.retryAfterMs).toBe(4000)
    expect((await moved(open, {}, 86_400_000)).circuit.retryAfterMs).toBe(0)
    const counting = bench()
    counting.run('failure', 9)
    const { circuit, run } = await moved(counting, {}, 30_000)
    run('failure')
    expect(circuit.state).toBe('closed')
  })

  test('a wall clock that was set back makes no snapshot younger', async () => {
    const from = bench()
    from.run('failure', 10)
    expect((await moved(from, {}, -3_600_000)).circuit.retryAfterMs).toBe(5000)
  })

  test('no circuit stays open for longer than maxOpenMs here', async () => {
    const from = bench({ openMs: 60_000, maxOpenMs: 60_000 })
    from.run('failure', 10)
    expect((await moved(from)).circuit.retryAfterMs).toBe(30_000)
  })

  test('counts of another window are dropped', async () => {
    const from = bench({ windowMs: 60_000 })
    from.run('failure', 9)
    const { circuit, run } = await moved(from)
    run('failure')
    expect(circuit.state).toBe('closed')
  })

  test('slow attempts of a circuit that counted them mean nothing to one that does not', async () => {
    const from = bench({ slowCall: { durationMs: 1000, rate: 1 }, minimumCalls: 20 })
    from.run('success', 10, 1001)
    const { circuit, run } = await moved(from)
    run('success')
    expect(circuit.state).toBe('closed')
    expect(circuit.snapshot().buckets).toEqual([{ successes: 11, failures: 0, slow: 0 }])
  })

  test('results of attempts from before it decide nothing', () => {
    const { circuit } = bench({ minimumCalls: 1 })
    const permit = circuit.tryAcquire()
    circuit.restore(closed)
    circuit.settle(permit, 'failure')
    expect(circuit.state).toBe('closed')
    expect(circuit.isIdle).toBe(true)
  })

  test('closes an open circuit, and tells so', () => {
    const { circuit, run, events } = bench()
    run('failure', 10)
    circuit.restore(closed)
    expect(circuit.state).toBe('closed')
    expect(events.at(-1)).toEqual({ type: 'circuit-close', key: 'api' })
  })

  const bucket = { successes: 1, failures: 0, slow: 0 }
  test.each<[unknown, string]>([
    [undefined, 'snapshot should be an object, got undefined'],
    [null, 'snapshot should be an object, got null'],
    ['{"version":1}', 'snapshot should be an object, got "{\\"version\\":1}"'],
    [[closed], 'snapshot should be an object, got an array of 1'],
    [{ ...closed, version: 2 }, 'snapshot.version should be 1, got 2'],
    [{ ...closed, version: '1' }, 'snapshot.version should be 1, got "1"'],
    [
      { ...closed, state: 'ajar' },
      'snapshot.state should be one of "closed", "open", "half-open", "isolated", got "ajar"',
    ],
    [{ ...closed, openForMs: -1 }, 'snapshot.openForMs should be a number >= 0, got -1'],
    [{ ...closed, openForMs: null }, 'snapshot.openForMs should be a number >= 0, got null'],
    [{ ...closed, openings: 0.5 }, 'snapshot.openings should be an integer >= 0, got 0.5'],
    [{ ...closed, failuresInARow: '3' }, 'snapshot.failuresInARow should be an integer >= 0, got "3"'],
    [{ ...closed, windowMs: 0 }, 'snapshot.windowMs should be a number > 0, got 0'],
    [
      { ...closed, buckets: {} },
      'snapshot.buckets should be an array of at most 10, got an object with no keys',
    ],
    [
      { ...closed, buckets: Array.from({ length: 11 }, () => bucket) },
      'snapshot.buckets should be an array of at most 10, got an array of 11',
    ],
    [{ ...closed, buckets: [bucket, 5] }, 'snapshot.buckets[1] should be an object, got 5'],
    [
      { ...closed, buckets: [{ ...bucket, successes: -1 }] },
      'snapshot.buckets[0].successes should be an integer >= 0, got -1',
    ],
    [
      { ...closed, buckets: [{ ...bucket, failures: true }] },
      'snapshot.buckets[0].failures should be an integer >= 0, got true',
    ],
    [
      { ...closed, buckets: [{ successes: 1, failures: 1 }] },
      'snapshot.buckets[0].slow should be an integer >= 0, got undefined',
    ],
  ])('refuses %j and changes nothing', (snapshot, message) => {
    const { circuit, run } = bench()
    run('failure', 10)
    const before = circuit.snapshot()
    const error = thrownBy(() => circuit.restore(snapshot as CircuitSnapshot))
    expect(isHoldfastError(error) && error.code).toBe('ERR_INVALID_OPTION')
    expect((error as Error).message).toBe(message)
    expect(circuit.snapshot()).toEqual(before)
  })

  test('refuses an age that is no number', () => {
    const { circuit } = bench()
    expect(() => circuit.restore(closed, Number.NaN)).toThrow(
      'ageMs should be a number of milliseconds, got NaN',
    )
  })
})

function thrownBy(work: () => void): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
