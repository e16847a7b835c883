import { describe, expect, test } from 'vitest'
import { bench } from './circuit.test-support.ts'
import { REFUSED, type Permit } from './permit.ts'
import type { CircuitSettings } from './rules.ts'

describe('consecutive', () => {
  test('failures in a row open the circuit below minimumCalls', () => {
    const { circuit, run, events } = bench({ consecutive: 3 })
    run('failure', 2)
    expect(circuit.state).toBe('closed')
    run('failure')
    expect(circuit.state).toBe('open')
    expect(events).toMatchObject([{ type: 'circuit-open', cause: 'consecutive', isolated: false }])
  })

  test('a success ends the row, an ignored outcome does not', () => {
    const { circuit, run } = bench({ consecutive: 3 })
    run('failure', 2)
    run('success')
    run('failure', 2)
    run('ignored', 100)
    expect(circuit.state).toBe('closed')
    run('failure')
    expect(circuit.state).toBe('open')
  })

  test('a row does not outlive its window: after an idle hour it begins anew', async () => {
    const { circuit, run, clock } = bench({ consecutive: 3 })
    run('failure', 2)
    await clock.advance(3_600_000)
    run('failure', 2)
    expect(circuit.state).toBe('closed')
    run('failure')
    expect(circuit.state).toBe('open')
  })

  test('a row begins anew once the circuit has closed', async () => {
    const { circuit, run, clock } = bench({ consecutive: 3 })
    run('failure', 3)
    await clock.advance(5000)
    run('success')
    run('failure', 2)
    expect(circuit.state).toBe('closed')
  })

  test('the share opens it as before', () => {
    const { circuit, run, events } = bench({ consecutive: 6 })
    for (let round = 0; round < 5; round++) {
      run('success')
      run('failure')
    }
    expect(circuit.state).toBe('open')
    expect(events).toMatchObject([{ cause: 'failure-rate' }])
  })
})

describe('slowCall', () => {
  const slowCall = { durationMs: 1000, rate: 0.5 }

  test('successes that take too long open the circuit', () => {
    const { circuit, run, events } = bench({ slowCall })
    run('success', 5)
    run('success', 4, 1001)
    expect(circuit.state).toBe('closed')
    run('success', 1, 1001)
    expect(circuit.state).toBe('open')
    expect(events).toMatchObject([{ type: 'circuit-open', cause: 'slow-calls' }])
  })

  test('failures that take too long count as slow, too', () => {
    const { circuit, run, events } = bench({ slowCall, failureRate: 1 })
    run('success', 5)
    run('failure', 5, 1001)
    expect(circuit.state).toBe('open')
    expect(events).toMatchObject([{ cause: 'slow-calls' }])
  })

  test('an attempt as long as durationMs is not slow', () => {
    const { circuit, run } = bench({ slowCall })
    run('success', 100, 1000)
    expect(circuit.state).toBe('closed')
  })

  test('needs minimumCalls, and ignored attempts are none', () => {
    const { circuit, run } = bench({ slowCall })
    run('success', 9, 1001)
    run('ignored', 100, 1001)
    expect(circuit.state).toBe('closed')
    run('success', 1, 1001)
    expect(circuit.state).toBe('open')
  })

  test('after an idle hour the slow attempts are forgotten', async () => {
    const { circuit, run, clock } = bench({ slowCall })
    run('success', 9, 1001)
    await clock.advance(3_600_000)
    run('success', 9, 1001)
    expect(circuit.state).toBe('closed')
  })

  test('a slow test request opens the circuit again', async () => {
    const { circuit, run, clock, events } = bench({ slowCall })
    run('failure', 10)
    await clock.advance(5000)
    run('success', 1, 1001)
    expect(circuit.state).toBe('open')
    expect(events.at(-1)).toMatchObject({ cause: 'probe', retryAfterMs: 10_000 })
  })

  test('without it no duration matters', () => {
    const { circuit, run } = bench()
    run('success', 100, 3_600_000)
    expect(circuit.state).toBe('closed')
    expect(circuit.startMs).toBeUndefined()
  })
})

describe('halfOpenProbes', () => {
  async function halfOpen(settings: Partial<CircuitSettings> = {}) {
    const made = bench({ halfOpenProbes: 4, ...settings })
    made.run('failure', 10)
    await made.clock.advance(5000)
    const probes = (count: number): Permit[] => Array.from({ length: count }, () => made.circuit.tryAcquire())
    return { ...made, probes }
  }

  test('so many are let through at once, and no more', async () => {
    const { circuit, probes, events } = await halfOpen()
    const permits = probes(50)
    expect(permits.filter((permit) => permit !== REFUSED)).toHaveLength(4)
    expect(new Set(permits.slice(0, 4)).size).toBe(4)
    expect(circuit.state).toBe('half-open')
    expect(events.filter(({ type }) => type === 'circuit-half-open')).toHaveLength(1)
  })

  test('so many are let through one after the other, and the last one closes it', async () => {
    const { circuit, run } = await halfOpen()
    expect(run('success', 3)).toBe(3)
    expect(circuit.state).toBe('half-open')
    run('success')
    expect(circuit.state).toBe('closed')
  })

  test('no further one takes the place of one that has been sampled', async () => {
    const { circuit, probes, run } = await halfOpen()
    const [first, second] = probes(2) as [Permit, Permit]
    circuit.settle(first, 'success')
    expect(run('success', 2)).toBe(2)
    expect(probes(1)).toEqual([REFUSED])
    circuit.settle(second, 'success')
    expect(circuit.state).toBe('closed')
  })

  test('fewer failures than the share of them let it close', async () => {
    const { circuit, run } = await halfOpen()
    run('failure')
    run('success', 3)
    expect(circuit.state).toBe('closed')
  })

  test('it opens, for longer, as soon as the share is certain', async () => {
    const { circuit, probes, events } = await halfOpen()
    const [first, second] = probes(4) as [Permit, Permit]
    circuit.settle(first, 'failure')
    expect(circuit.state).toBe('half-open')
    circuit.settle(second, 'failure')
    expect(circuit.state).toBe('open')
    expect(events.at(-1)).toMatchObject({ type: 'circuit-open', cause: 'probe', retryAfterMs: 10_000 })
  })

  test('results of test requests from before it opened again decide nothing', async () => {
    const { circuit, probes, clock } = await halfOpen()
    const early = probes(4)
    for (const permit of early.slice(0, 2)) circuit.settle(permit, 'failure')
    await clock.advance(10_000)
    const late = probes(4)
    for (const permit of early.slice(2)) circuit.settle(permit, 'failure')
    expect(circuit.state).toBe('half-open')
    for (const permit of late) circuit.settle(permit, 'success')
    expect(circuit.state).toBe('closed')
  })

  test('one that its caller calls off gives its place to another', async () => {
    const { circuit, probes } = await halfOpen()
    const [first] = probes(4) as [Permit]
    expect(circuit.retryAfterMs).toBe(5000)
    circuit.settle(first, 'ignored')
    expect(circuit.retryAfterMs).toBe(0)
    expect(probes(2).filter((permit) => permit !== REFUSED)).toHaveLength(1)
  })

  test('each has a lease of its own, whose end is a failure', async () => {
    const { circuit, probes, clock } = await halfOpen({ leaseMs: 2000 })
    probes(1)
    await clock.advance(1000)
    probes(1)
    await clock.advance(1000)
    expect(circuit.state).toBe('half-open')
    await clock.advance(999)
    expect(circuit.state).toBe('half-open')
    await clock.advance(1)
    expect(circuit.state).toBe('open')
    expect(circuit.retryAfterMs).toBe(10_000)
  })

  test('the shortest of unlike leases ends first', async () => {
    const { circuit, clock } = await halfOpen({ halfOpenProbes: 2, slowCall: { durationMs: 1000, rate: 1 } })
    circuit.tryAcquire(3000)
    circuit.tryAcquire(500)
    expect(circuit.retryAfterMs).toBe(500)
    await clock.advance(499)
    expect(circuit.state).toBe('half-open')
    await clock.advance(1)
    expect(circuit.state).toBe('open')
    expect(circuit.retryAfterMs).toBe(10_000)
  })

  test('one that outlives its lease leaves the decision to the others', async () => {
    const { circuit, probes, run, clock } = await halfOpen({ leaseMs: 2000 })
    const [hanging] = probes(1) as [Permit]
    run('success', 3)
    expect(circuit.state).toBe('half-open')
    await clock.advance(2000)
    expect(circuit.state).toBe('closed')
    for (let late = 0; late < 10; late++) circuit.settle(hanging, 'failure')
    expect(circuit.state).toBe('closed')
  })

  test('a success that comes after the lease is a failure, though nobody has looked meanwhile', async () => {
    const { circuit, probes, clock } = await halfOpen({ halfOpenProbes: 1, leaseMs: 2000 })
    const [late] = probes(1) as [Permit]
    await clock.advance(2500)
    circuit.settle(late, 'success')
    expect(circuit.state).toBe('open')
    expect(circuit.retryAfterMs).toBe(9500)
  })

  test('a test request that hangs is slow as well as failed', async () => {
    const slowCall = { durationMs: 1000, rate: 0.25 }
    const { circuit, probes, clock } = await halfOpen({ leaseMs: 2000, slowCall, failureRate: 1 })
    probes(1)
    await clock.advance(2000)
    expect(circuit.state).toBe('open')
  })
})
