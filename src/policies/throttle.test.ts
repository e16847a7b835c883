import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULTS } from '../primitives/defaults.ts'
import { CircuitOpenError, isLocalRejection } from '../primitives/errors.ts'
import { ThrottledError } from '../primitives/refusals.ts'
import { pipeline } from '../core/pipeline.ts'
import { Context, Execution, type ExecutionFields } from '../core/policy.ts'
import { Scope } from '../primitives/signal.ts'
import { seededRandom } from '../testing/seeded-random.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { retry } from './retry.ts'
import { AcceptanceCounts, throttle, type ThrottleOptions } from './throttle.ts'

const down = (): Promise<never> => Promise.reject(new Error('down'))

/** Holds back whatever has any chance of being held back, so that a test sees the share turn positive. */
const strict = (options: ThrottleOptions<string> = {}) => {
  const clock = virtualClock()
  const policy = throttle<string>({ clock, random: () => 0, ...options })
  const run = (operation: () => Promise<string> | string = () => 'done', key = 'k'): Promise<unknown> =>
    pipeline(policy)
      .execute(operation, { key })
      .catch((error: unknown) => error)
  const repeat = async (count: number, operation?: () => Promise<string> | string): Promise<void> => {
    for (let done = 0; done < count; done++) await run(operation)
  }
  return { clock, policy, run, repeat }
}

describe('a throttle', () => {
  test('holds nothing back while every other request is accepted', async () => {
    const { run, repeat } = strict()
    await repeat(10)
    await repeat(10, down)
    expect(await run()).toBe('done')
  })

  test('holds back, without running it, what comes after too many were not accepted', async () => {
    const { run, repeat } = strict()
    await repeat(10)
    await repeat(11, down)
    let ran = false
    const error = await run(() => ((ran = true), 'done'))
    expect(error).toBeInstanceOf(ThrottledError)
    expect(error).toMatchObject({ code: 'ERR_THROTTLED', key: 'k', name: 'ThrottledError' })
    expect(String(error)).toBe('ThrottledError: "k" has accepted 10 of 22 requests: held back')
    expect(isLocalRejection(error)).toBe(true)
    expect(ran).toBe(false)
  })

  test('holds nothing back before there are ten requests', async () => {
    const { run, repeat } = strict()
    await repeat(9, down)
    expect(await run()).toBe('done')
    expect(await run()).toBeInstanceOf(ThrottledError)
  })

  test('a request is counted before it is answered', async () => {
    const { policy, run } = strict({ minimumRequests: 1 })
    void pipeline(policy).execute(() => new Promise<string>(() => {}), { key: 'k' })
    expect(await run()).toBeInstanceOf(ThrottledError)
  })

  test('what is held back counts as a request, so that the share goes on rising', async () => {
    const { run, repeat } = strict()
    await repeat(10, down)
    expect([String(await run()), String(await run())]).toEqual([
      'ThrottledError: "k" has accepted 0 of 11 requests: held back',
      'ThrottledError: "k" has accepted 0 of 12 requests: held back',
    ])
  })

  test('forgets what has left its window', async () => {
    const { clock, run, repeat } = strict()
    await repeat(20, down)
    expect(await run()).toBeInstanceOf(ThrottledError)
    await clock.advance(132_000)
    expect(await run()).toBe('done')
  })

  test('keys are counted apart', async () => {
    const { run, repeat } = strict()
    await repeat(20, down)
    expect(await run(undefined, 'other')).toBe('done')
  })

  test('a key of one’s own counts apart, too', async () => {
    let key = 'a'
    const { run, repeat } = strict({ key: () => key })
    await repeat(10, down)
    expect(await run()).toMatchObject({ code: 'ERR_THROTTLED', key: 'a' })
    key = 'b'
    expect(await run()).toBe('done')
  })

  test('keys without requests are forgotten first, those with requests never', async () => {
    const { run, repeat } = strict({ maxKeys: 1 })
    await repeat(20, down)
    await run(undefined, 'other')
    expect(await run()).toBeInstanceOf(ThrottledError)
  })

  test('is never retried', async () => {
    const { clock, policy, repeat } = strict()
    await repeat(10, down)
    const work = pipeline(retry({ clock }), policy).execute(() => 'done', { key: 'k' })
    await expect(work).rejects.toMatchObject({ code: 'ERR_THROTTLED' })
    expect(clock.pending).toBe(0)
  })
})

describe('what counts as accepted', () => {
  test('a rule of one’s own decides', async () => {
    const { run, repeat } = strict({ isAccepted: (outcome) => outcome.ok && outcome.value !== 'busy' })
    await repeat(10, () => 'busy')
    expect(await run()).toBeInstanceOf(ThrottledError)
  })

  test('what such a rule throws is thrown', async () => {
    const bug = new Error('bug')
    const { run } = strict({
      isAccepted: () => {
        throw bug
      },
    })
    expect(await run()).toBe(bug)
  })

  /** Ten times an outcome that should count as neither, then one that is held back if they counted as requests. */
  const afterTen = async (
    operation: (scope: Scope) => Promise<string>,
    options: ThrottleOptions<string> = {},
    fields: ExecutionFields = {},
  ): Promise<unknown> => {
    const handler = throttle<string>({ clock: virtualClock(), random: () => 0, ...options }).wrap(
      ({ execution, scope }) => (execution.data as typeof operation)(scope),
    )
    const run = (each: (scope: Scope) => Promise<string>): Promise<unknown> => {
      const scope = new Scope()
      const context = new Context(new Execution(each, fields), scope)
      return handler(context).catch((error: unknown) => error)
    }
    for (let done = 0; done < 10; done++) await run(operation)
    return run(() => Promise.resolve('done'))
  }
  const endedBy = (by: 'caller' | 'race' | 'timeout') => (scope: Scope) => {
    scope.abort(new Error(by), by)
    return down()
  }

  test.each(['caller', 'race'] as const)('an abort by the %s is taken back', async (by) => {
    expect(await afterTen(endedBy(by))).toBe('done')
  })

  test('a timeout is not accepted', async () => {
    expect(await afterTen(endedBy('timeout'))).toBeInstanceOf(ThrottledError)
  })

  test('a refusal on this side, further in, is taken back', async () => {
    expect(await afterTen(() => Promise.reject(new CircuitOpenError('k', 1)))).toBe('done')
  })

  test.each([
    ['served', 'done'],
    ['nothing', 'done'],
    ['failed', expect.any(ThrottledError) as ThrottledError],
  ] as const)('an embedding client knows: %s', async (standing, expected) => {
    expect(await afterTen(() => Promise.resolve('x'), {}, { judge: () => standing })).toEqual(expected)
  })
})

describe('the share that is held back', () => {
  test('agrees with the formula over random histories', async () => {
    const bucketMs = DEFAULTS.throttle.windowMs / 10
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('ask' as const, 'accept' as const, 'takeBack' as const) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 40_000 }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 200, size: 'max' }), async (steps) => {
        const clock = virtualClock()
        const counts = new AcceptanceCounts(DEFAULTS.throttle, clock)
        const log: { kind: string; bucket: number }[] = []
        for (const each of steps) {
          if (typeof each === 'number') await clock.advance(each)
          else {
            counts[each]()
            log.push({ kind: each, bucket: Math.floor(clock.now() / bucketMs) })
          }
          const oldest = Math.floor(clock.now() / bucketMs) - 9
          const held = (kind: string): number =>
            log.filter((entry) => entry.kind === kind && entry.bucket >= oldest).length
          const requests = Math.max(0, held('ask') - held('takeBack'))
          const expected = requests < 10 ? 0 : Math.max(0, (requests - 2 * held('accept')) / (requests + 1))
          expect(counts.rejectShare).toBeCloseTo(expected, 12)
        }
      }),
      { numRuns: 60 },
    )
  })

  const REQUESTS_A_WINDOW = 1200
  const MEASURED_WINDOWS = 10

  /** A service that can accept `capacity` of 100 requests. @returns the share that is held back once it is steady. */
  async function heldBack(capacity: number): Promise<number> {
    const clock = virtualClock()
    const policy = throttle({ clock, random: seededRandom('throttle', capacity) })
    const service = { free: 0 }
    let refused = 0
    const pass = async (requests: number): Promise<void> => {
      for (let request = 0; request < requests; request++) {
        service.free = Math.min(5, service.free + capacity / 100)
        const serve = (): string | Promise<never> => (service.free < 1 ? down() : (service.free--, 'done'))
        const work = pipeline(policy).execute(serve)
        await work.catch((error: unknown) => (refused += error instanceof ThrottledError ? 1 : 0))
        if (request % 10 === 0) await clock.advance((10 * DEFAULTS.throttle.windowMs) / REQUESTS_A_WINDOW)
      }
    }
    await pass(3 * REQUESTS_A_WINDOW)
    refused = 0
    await pass(MEASURED_WINDOWS * REQUESTS_A_WINDOW)
    return refused / (MEASURED_WINDOWS * REQUESTS_A_WINDOW)
  }

  // Twice as many as are accepted get through: p = 1 - 2 * capacity / requests.
  test.each([
    [0, 1],
    [10, 0.8],
    [25, 0.5],
    [40, 0.2],
    [60, 0],
  ])('where a service accepts %i of 100: %d', async (capacity, share) => {
    expect(Math.abs((await heldBack(capacity)) - share)).toBeLessThan(0.02)
  })
})

describe('the options of a throttle', () => {
  test.each([
    [{ ratio: 0.5 }, 'throttle.ratio should be a number >= 1, got 0.5'],
    [{ windowMs: 0 }, 'throttle.windowMs should be a number > 0, got 0'],
    [{ minimumRequests: 1.5 }, 'throttle.minimumRequests should be an integer >= 0, got 1.5'],
    [{ maxKeys: 0 }, 'throttle.maxKeys should be an integer >= 1, got 0'],
    [{ isAccepted: 1 }, 'throttle.isAccepted should be a function, got 1'],
    [{ K: 2 }, 'throttle has no option "K"'],
  ])('%j is refused', (options, message) => {
    expect(() => throttle(options as ThrottleOptions)).toThrow(message)
  })

  test('are told by describe', () => {
    expect(pipeline(throttle()).describe()).toBe('throttle  ratio 2 · windowMs 120000 · minimumRequests 10')
  })
})
