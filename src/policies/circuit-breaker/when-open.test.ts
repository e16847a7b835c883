import { describe, expect, test } from 'vitest'
import { deferred, watch } from '../../../test/support/operations.ts'
import { stoppedClock } from '../../../test/support/stopped-clock.ts'
import { CircuitOpenError } from '../../primitives/errors.ts'
import { pipeline } from '../../core/pipeline.ts'
import { timeout } from '../timeout.ts'
import { bench, fail, succeed } from './breaker.test-support.ts'
import { MAX_WAITING } from './parking.ts'

describe("whenOpen: 'wait'", () => {
  const waiting = { whenOpen: 'wait' } as const

  test('parks calls until the service has recovered, with one test request', async () => {
    const { guarded, open, clock } = bench(waiting)
    await open()
    let calls = 0
    const gate = deferred<string>()
    const results = Array.from({ length: 20 }, () =>
      watch(
        guarded.execute(() => {
          calls++
          return calls === 1 ? gate.promise : Promise.resolve('up')
        }),
      ),
    )
    await clock.advance(4999)
    expect(calls).toBe(0)
    await clock.advance(1)
    expect(calls).toBe(1)
    gate.resolve('up')
    await clock.settle()
    expect(results.every(({ value }) => value === 'up')).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('keeps them parked when the test request fails', async () => {
    const { guarded, open, clock, circuit } = bench(waiting)
    await open()
    const [first, second] = [guarded.execute(fail), guarded.execute(succeed)].map(watch)
    await clock.advance(5000)
    expect(first?.error).toEqual(new Error('down'))
    expect(circuit.state).toBe('open')
    expect(second?.settled).toBe(false)
    await clock.advance(10_000)
    expect(second?.value).toBe('up')
  })

  test('lets as many of them through as there may be test requests', async () => {
    const { guarded, open, clock } = bench({ ...waiting, halfOpenProbes: 3 })
    await open()
    let calls = 0
    const gate = deferred<string>()
    const results = Array.from({ length: 20 }, () =>
      watch(
        guarded.execute(() => {
          calls++
          return gate.promise
        }),
      ),
    )
    await clock.advance(5000)
    expect(calls).toBe(3)
    gate.resolve('up')
    await clock.settle()
    expect(results.every(({ value }) => value === 'up')).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('a snapshot of a closed circuit lets them through at once', async () => {
    const { guarded, open, circuit, clock } = bench(waiting)
    const before = circuit.snapshot()
    await open()
    const result = watch(guarded.execute(succeed))
    await clock.settle()
    expect(result.settled).toBe(false)
    circuit.restore(before)
    await clock.settle()
    expect(result.value).toBe('up')
    expect(clock.pending).toBe(0)
  })

  test('a reset lets them through at once', async () => {
    const { guarded, circuit, clock } = bench(waiting)
    circuit.isolate()
    const result = watch(guarded.execute(succeed))
    await clock.settle()
    expect(clock.pending).toBe(0)
    await clock.advance(3_600_000)
    expect(result.settled).toBe(false)
    circuit.reset()
    await clock.settle()
    expect(result.value).toBe('up')
  })

  test('a test request that is called off makes room for the next one at once', async () => {
    const { guarded, open, clock, circuit } = bench(waiting)
    await open()
    const controller = new AbortController()
    watch(guarded.execute(() => new Promise<never>(() => {}), { signal: controller.signal }))
    const next = watch(guarded.execute(succeed))
    await clock.advance(5000)
    expect([circuit.state, next.settled]).toEqual(['half-open', false])
    controller.abort()
    await clock.settle()
    expect(next.value).toBe('up')
  })

  test('ends with the total timeout, and with the caller', async () => {
    const { breaker, circuit, clock } = bench(waiting)
    circuit.isolate()
    const timed = watch(pipeline(timeout({ totalMs: 100, clock }), breaker).execute(succeed))
    const controller = new AbortController()
    const aborted = watch(pipeline(breaker).execute(succeed, { signal: controller.signal }))
    await clock.advance(100)
    controller.abort('left')
    await clock.settle()
    expect(timed.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(aborted.error).toBe('left')
  })

  test('a process that was stopped meanwhile wakes too late for a test request', async () => {
    const clock = stoppedClock()
    const { breaker, open, circuit } = bench({ ...waiting, clock })
    await open()
    const limited = pipeline(timeout({ totalMs: 6000, clock }), breaker)
    const late = watch(limited.execute(succeed))
    await clock.stop(6000)
    expect(late.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(circuit.state).toBe('open')
    const inTime = watch(limited.execute(succeed))
    await clock.advance(0)
    expect([inTime.value, circuit.state]).toEqual(['up', 'closed'])
  })

  test('no more than 1000 wait: the next is rejected', async () => {
    const { guarded, circuit, clock } = bench(waiting)
    circuit.isolate()
    const results = Array.from({ length: MAX_WAITING + 1 }, () => watch(guarded.execute(succeed)))
    await clock.settle()
    expect(MAX_WAITING).toBe(1000)
    expect(results.filter(({ settled }) => settled)).toHaveLength(1)
    expect(results.at(-1)?.error).toBeInstanceOf(CircuitOpenError)
    circuit.reset()
    await clock.settle()
    expect(results.filter(({ value }) => value === 'up')).toHaveLength(MAX_WAITING)
  })
})
