import { describe, expect, test } from 'vitest'
import { bench, type Bench } from './circuit.test-support.ts'
import { REFUSED } from './permit.ts'
import type { CircuitSettings } from './rules.ts'

describe('a closed circuit', () => {
  test('opens when half of ten attempts have failed', () => {
    const { circuit, run, events } = bench()
    run('success', 5)
    run('failure', 4)
    expect(circuit.state).toBe('closed')
    run('failure')
    expect(circuit.state).toBe('open')
    expect(events).toEqual([
      { type: 'circuit-open', key: 'api', retryAfterMs: 5000, isolated: false, cause: 'failure-rate' },
    ])
  })

  test('stays closed below ten attempts, even if all have failed', () => {
    const { circuit, run } = bench()
    run('failure', 9)
    expect(circuit.state).toBe('closed')
  })

  test('a failure rate of 30 % does not open a 50 % circuit', () => {
    const { circuit, run } = bench()
    for (let round = 0; round < 100; round++) {
      run('success', 7)
      run('failure', 3)
    }
    expect(circuit.state).toBe('closed')
  })

  test('ignored outcomes do not count at all', () => {
    const { circuit, run } = bench()
    run('ignored', 1000)
    run('failure', 9)
    expect(circuit.state).toBe('closed')
    run('failure')
    expect(circuit.state).toBe('open')
  })

  test('forgets what is older than the window', async () => {
    const { circuit, run, clock } = bench()
    run('failure', 9)
    await clock.advance(30_000)
    run('failure')
    expect(circuit.state).toBe('closed')
  })

  test('after an idle hour one failure does not open it', async () => {
    const { circuit, run, clock } = bench()
    run('failure', 9)
    await clock.advance(3_600_000)
    run('failure')
    expect(circuit.state).toBe('closed')
  })

  test('the window slides in tenths: failures leave it bucket by bucket', async () => {
    const { circuit, run, clock } = bench()
    for (let bucket = 0; bucket < 9; bucket++) {
      run('failure')
      await clock.advance(3000)
    }
    expect(circuit.state).toBe('closed')
    await clock.advance(3000)
    run('failure')
    expect(circuit.state).toBe('closed')
    run('failure')
    expect(circuit.state).toBe('open')
  })

  test('nobody needs to come again later', () => {
    expect(bench().circuit.retryAfterMs).toBe(0)
  })

  test('a jump of the wall clock changes nothing', () => {
    const { circuit, run, clock } = bench()
    run('failure', 9)
    clock.jumpWall(3_600_000)
    run('failure')
    expect(circuit.state).toBe('open')
  })
})

describe('an open circuit', () => {
  test('refuses everything until its time has passed', async () => {
    const { circuit, run, clock } = bench()
    run('failure', 10)
    expect(run('success', 100)).toBe(0)
    await clock.advance(4999)
    expect(circuit.retryAfterMs).toBe(1)
    expect(run('success')).toBe(0)
    await clock.advance(1)
    expect(circuit.state).toBe('open')
    expect(run('success')).toBe(1)
    expect(circuit.state).toBe('closed')
  })

  test('what is redirected to it says nothing new', () => {
    const { circuit, run, events } = bench()
    run('failure', 10)
    for (let redirected = 0; redirected < 20; redirected++) circuit.record('failure')
    expect(events).toHaveLength(1)
    expect(circuit.retryAfterMs).toBe(5000)
  })

  test('its time doubles with each failed test request, up to 30 s', async () => {
    const { circuit, run, clock } = bench()
    run('failure', 10)
    const opensMs: number[] = []
    for (let opening = 0; opening < 5; opening++) {
      opensMs.push(circuit.retryAfterMs)
      await clock.advance(circuit.retryAfterMs)
      run('failure')
    }
    // The last two are the middle of what jitter leaves under the cap.
    expect(opensMs).toEqual([5000, 10_000, 20_000, 26_250, 26_250])
  })

  test('a recovery starts the doubling afresh', async () => {
    const { circuit, run, clock } = bench()
    run('failure', 10)
    await clock.advance(5000)
    run('failure')
    await clock.advance(10_000)
    run('success')
    run('failure', 10)
    expect(circuit.retryAfterMs).toBe(5000)
  })

  test.each([
    [0, 3750, 22_500],
    [1 - Number.EPSILON, 6250, 30_000],
  ])(
    'open times are spread by ±25 %% but stay under the cap (chance %d)',
    async (chance, firstMs, cappedMs) => {
      const { circuit, run, clock } = bench({}, { random: () => chance })
      run('failure', 10)
      expect(circuit.retryAfterMs).toBeCloseTo(firstMs)
      for (let opening = 0; opening < 5; opening++) {
        await clock.advance(circuit.retryAfterMs)
        run('failure')
      }
      expect(circuit.retryAfterMs).toBeCloseTo(cappedMs)
    },
  )
})

describe('a half-open circuit', () => {
  const halfOpen = async (settings: Partial<CircuitSettings> = {}): Promise<Bench & { probe: number }> => {
    const made = bench(settings)
    made.run('failure', 10)
    await made.clock.advance(5000)
    return { ...made, probe: made.circuit.tryAcquire() }
  }

  test('lets exactly one test request through', async () => {
    const { circuit, events, run } = await halfOpen()
    expect(circuit.state).toBe('half-open')
    expect(run('success', 50)).toBe(0)
    expect(events.at(-1)).toEqual({ type: 'circuit-half-open', key: 'api' })
  })

  test('closes with an empty window when the test request succeeds', async () => {
    const { circuit, probe, events, run } = await halfOpen()
    circuit.settle(probe, 'success')
    expect(circuit.state).toBe('closed')
    expect(events.at(-1)).toEqual({ type: 'circuit-close', key: 'api' })
    run('failure', 9)
    expect(circuit.state).toBe('closed')
  })

  test('opens again, for longer, when it fails', async () => {
    const { circuit, probe } = await halfOpen()
    circuit.settle(probe, 'failure')
    expect(circuit.state).toBe('open')
    expect(circuit.retryAfterMs).toBe(10_000)
  })

  test('a test request that the caller aborts decides nothing: the next one is the test', async () => {
    const { circuit, probe } = await halfOpen()
    circuit.settle(probe, 'ignored')
    expect(circuit.state).toBe('half-open')
    expect(circuit.retryAfterMs).toBe(0)
    const next = circuit.tryAcquire()
    expect(next).not.toBe(REFUSED)
    expect(circuit.tryAcquire()).toBe(REFUSED)
    circuit.settle(next, 'success')
    expect(circuit.state).toBe('closed')
  })

  test('a test request that never ends counts as failed when its lease is over', async () => {
    const { circuit, probe, clock } = await halfOpen({ leaseMs: 2000 })
    await clock.advance(1999)
    expect(circuit.state).toBe('half-open')
    await clock.advance(1)
    expect(circuit.state).toBe('open')
    circuit.settle(probe, 'success')
    expect(circuit.state).toBe('open')
    await clock.advance(10_000)
    expect(circuit.tryAcquire()).not.toBe(REFUSED)
  })

  test('results of attempts from before it opened decide nothing', async () => {
    const { circuit, run, clock } = bench()
    const early = [circuit.tryAcquire(), circuit.tryAcquire(), circuit.tryAcquire()] as const
    run('failure', 10)
    circuit.settle(early[0], 'success')
    expect(circuit.state).toBe('open')
    await clock.advance(5000)
    const probe = circuit.tryAcquire()
    circuit.settle(early[1], 'success')
    expect(circuit.state).toBe('half-open')
    circuit.settle(early[2], 'failure')
    expect(circuit.state).toBe('half-open')
    circuit.settle(probe, 'success')
    expect(circuit.state).toBe('closed')
  })

  test('a rejected caller is told to come again when the lease ends, at most openMs from now', async () => {
    const { circuit, clock } = await halfOpen({ leaseMs: 6000 })
    expect(circuit.retryAfterMs).toBe(5000)
    await clock.advance(4000)
    expect(circuit.retryAfterMs).toBe(2000)
  })
})

describe('by hand', () => {
  test('an isolated circuit refuses everything until it is reset', async () => {
    const { circuit, run, clock, events } = bench()
    circuit.isolate()
    expect(circuit.state).toBe('isolated')
    await clock.advance(3_600_000)
    expect(run('success', 10)).toBe(0)
    expect(circuit.retryAfterMs).toBe(5000)
    circuit.reset()
    expect(run('success', 10)).toBe(10)
    expect(events).toEqual([
      { type: 'circuit-open', key: 'api', retryAfterMs: 5000, isolated: true, cause: 'isolated' },
      { type: 'circuit-close', key: 'api' },
    ])
  })

  test('a result from before the isolation does not end it', () => {
    const { circuit } = bench()
    const permit = circuit.tryAcquire()
    circuit.isolate()
    circuit.settle(permit, 'success')
    expect(circuit.state).toBe('isolated')
  })

  test('reset forgets what was counted', () => {
    const { circuit, run } = bench()
    run('failure', 9)
    circuit.reset()
    run('failure', 9)
    expect(circuit.state).toBe('closed')
  })

  test('is idle only while closed with nothing under way', () => {
    const { circuit, run } = bench()
    expect(circuit.isIdle).toBe(true)
    const permit = circuit.tryAcquire()
    expect(circuit.isIdle).toBe(false)
    circuit.settle(permit, 'success')
    expect(circuit.isIdle).toBe(true)
    run('failure', 10)
    expect(circuit.isIdle).toBe(false)
  })
})
