import { describe, expect, test } from 'vitest'
import { deferred, watch } from '../../../test/support/operations.ts'
import { CircuitOpenError } from '../../errors.ts'
import type { HoldfastEvent } from '../../events.ts'
import { pipeline } from '../../pipeline.ts'
import { virtualClock } from '../../testing/virtual-clock.ts'
import { timeout } from '../timeout.ts'
import { circuitBreaker, type CircuitBreakerOptions } from './circuit-breaker.ts'
import { MAX_WAITING } from './waiting-room.ts'

const random = (): number => 0.5
const fail = async (): Promise<never> => {
  throw new Error('down')
}
const succeed = async (): Promise<string> => 'up'

function bench(options: CircuitBreakerOptions = {}) {
  const clock = virtualClock()
  const events: HoldfastEvent[] = []
  const breaker = circuitBreaker({ clock, random, onEvent: (event) => events.push(event), ...options })
  const guarded = pipeline(breaker)
  const open = async (): Promise<void> => {
    for (let call = 0; call < 10; call++) await guarded.execute(fail).catch(() => {})
  }
  return { clock, events, breaker, guarded, open, circuit: breaker.circuits.get('default') }
}

describe('circuitBreaker', () => {
  test('rejects at once with key and time while it is open, and does not call', async () => {
    const { guarded, open } = bench()
    await open()
    let calls = 0
    const error: unknown = await guarded.execute(async () => calls++).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(CircuitOpenError)
    expect(error).toMatchObject({ code: 'ERR_CIRCUIT_OPEN', key: 'default', retryAfterMs: 5000 })
    expect(String(error)).toBe(
      'CircuitOpenError: circuit "default" is open, a test request is due in 5000 ms',
    )
    expect(calls).toBe(0)
  })

  test('of 50 concurrent calls to a half-open circuit exactly one gets through', async () => {
    const { guarded, open, clock } = bench()
    await open()
    await clock.advance(5000)
    const gate = deferred<string>()
    let calls = 0
    const results = Array.from({ length: 50 }, () =>
      watch(
        guarded.execute(() => {
          calls++
          return gate.promise
        }),
      ),
    )
    await clock.settle()
    expect(calls).toBe(1)
    gate.resolve('up')
    await clock.settle()
    expect(results.filter(({ value }) => value === 'up')).toHaveLength(1)
    expect(results.filter(({ error }) => error instanceof CircuitOpenError)).toHaveLength(49)
    expect(await guarded.execute(succeed)).toBe('up')
  })

  test("the caller's abort is no failure", async () => {
    const { guarded, circuit } = bench()
    for (let call = 0; call < 20; call++) {
      const controller = new AbortController()
      const result = guarded.execute(
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        {
          signal: controller.signal,
        },
      )
      controller.abort()
      await result.catch(() => {})
    }
    expect(circuit.state).toBe('closed')
  })

  test('timeouts of attempts are failures', async () => {
    const { breaker, clock, circuit } = bench()
    const guarded = pipeline(breaker, timeout({ attemptMs: 10, clock }))
    for (let call = 0; call < 10; call++) {
      const result = watch(guarded.execute(() => new Promise(() => {})))
      await clock.advance(10)
      expect(result.error).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    }
    expect(circuit.state).toBe('open')
  })

  test('a total timeout outside it is a failure too: a service that hangs must open the circuit', async () => {
    const { breaker, clock, circuit } = bench()
    const guarded = pipeline(timeout({ totalMs: 10, clock }), breaker)
    for (let call = 0; call < 10; call++) {
      const result = watch(
        guarded.execute(
          ({ signal }) =>
            new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        ),
      )
      await clock.advance(10)
      expect(result.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    }
    expect(circuit.state).toBe('open')
  })

  test('isFailure judges results and errors', async () => {
    const { guarded, circuit } = bench({
      isFailure: (outcome) => (outcome.ok ? outcome.value === 'bad' : 'ignored'),
    })
    for (let call = 0; call < 20; call++) await guarded.execute(fail).catch(() => {})
    expect(circuit.state).toBe('closed')
    for (let call = 0; call < 10; call++) await guarded.execute(async () => 'bad')
    expect(circuit.state).toBe('open')
  })

  test('each key has its own circuit', async () => {
    let key = 'a'
    const { guarded, breaker, open } = bench({ key: () => key })
    await open()
    key = 'b'
    expect(await guarded.execute(succeed)).toBe('up')
    expect([...breaker.circuits].map((circuit) => [circuit.key, circuit.state])).toEqual([
      ['default', 'closed'],
      ['a', 'open'],
      ['b', 'closed'],
    ])
  })

  test('an outcome that belongs elsewhere counts there, and as a success here', async () => {
    const { guarded, breaker, circuit } = bench({ settledKey: () => 'elsewhere' })
    for (let call = 0; call < 10; call++) await guarded.execute(fail).catch(() => {})
    expect(circuit.state).toBe('closed')
    expect(breaker.circuits.get('elsewhere').state).toBe('open')
  })

  test('forgets closed, idle circuits beyond maxCircuits, and never an open one', async () => {
    let key = 'broken'
    const { guarded, breaker } = bench({ key: () => key, maxCircuits: 3 })
    for (let call = 0; call < 10; call++) await guarded.execute(fail).catch(() => {})
    for (key of ['a', 'b', 'c', 'd']) await guarded.execute(succeed)
    expect([...breaker.circuits].map((circuit) => circuit.key)).toEqual(['broken', 'c', 'd'])
    expect(breaker.circuits.size).toBe(3)
    expect(breaker.circuits.get('broken').state).toBe('open')
  })

  test('tells every change of state', async () => {
    const { guarded, open, events, clock } = bench()
    await open()
    await clock.advance(5000)
    await guarded.execute(succeed)
    expect(events.map(({ type }) => type)).toEqual(['circuit-open', 'circuit-half-open', 'circuit-close'])
  })

  test('an open time above the default cap lifts the cap', () => {
    expect(() => circuitBreaker({ openMs: 60_000 })).not.toThrow()
  })

  test.each([
    [{ failureRate: 50 }, 'circuitBreaker.failureRate should be in (0, 1], got 50'],
    [{ windowMs: 0 }, 'circuitBreaker.windowMs should be a number > 0, got 0'],
    [{ minimumCalls: 0 }, 'circuitBreaker.minimumCalls should be an integer >= 1, got 0'],
    [{ openMs: 10, maxOpenMs: 5 }, 'circuitBreaker.maxOpenMs should be >= openMs (10), got 5'],
    [{ whenOpen: 'park' as 'wait' }, 'circuitBreaker.whenOpen should be one of "reject", "wait", got "park"'],
    [{ key: 'a' as unknown as () => string }, 'circuitBreaker.key should be a function, got "a"'],
  ])('refuses %j', (options, message) => {
    expect(() => circuitBreaker(options)).toThrow(message)
  })
})

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

  test('a reset lets them through at once', async () => {
    const { guarded, circuit, clock } = bench(waiting)
    circuit.isolate()
    const result = watch(guarded.execute(succeed))
    await clock.advance(3_600_000)
    expect(result.settled).toBe(false)
    circuit.reset()
    await clock.settle()
    expect(result.value).toBe('up')
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
