/** Any order of any policies is either right or refused: every pair and triple, and longer ones by chance. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bulkhead,
  circuitBreaker,
  coalesce,
  concurrencyLimit,
  fallback,
  hedge,
  isHoldfastError,
  pipeline,
  retry,
  retryBudget,
  throttle,
  timeout,
  type CircuitBreaker,
  type Pipeline,
  type Policy,
} from '../../src/index.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/index.ts'
import { watch } from '../support/operations.ts'

const RETRIES = 3
const TOKENS = 2
const ATTEMPT_MS = 100
const TOTAL_MS = 1000

interface Parts {
  readonly clock: VirtualClock
  readonly breaker: CircuitBreaker
  readonly make: Readonly<Record<string, () => Policy>>
}

function partsOf(): Parts {
  const clock = virtualClock()
  const breaker = circuitBreaker({ clock, minimumCalls: 1000 })
  let executions = 0
  const make: Parts['make'] = {
    fallback: () => fallback<unknown>(() => 'substitute'),
    // Each execution has a run of its own, so that attempts can be counted.
    coalesce: () => coalesce({ key: () => `${executions++}` }),
    'total-timeout': () => timeout({ totalMs: TOTAL_MS, clock }),
    'retry-budget': () => retryBudget({ capacity: TOKENS, perMinute: 0, perSuccess: 0, clock }),
    retry: () => retry({ maxRetries: RETRIES, baseDelayMs: 1, jitter: 'none', clock }),
    // Later than any attempt lasts.
    hedge: () => hedge({ delayMs: TOTAL_MS, clock }),
    throttle: () => throttle({ clock, random: () => 0.999 }),
    bulkhead: () => bulkhead({ maxConcurrent: 1 }),
    'concurrency-limit': () => concurrencyLimit({ initialLimit: 1, maxLimit: 1, maxQueued: 10, clock }),
    'circuit-breaker': () => breaker,
    'attempt-timeout': () => timeout({ attemptMs: ATTEMPT_MS, clock }),
  }
  return { clock, breaker, make }
}

const NAMES = Object.keys(partsOf().make)

/** The pipeline, or `undefined` where its order is refused; every refusal says what is wrong, and why. */
function built(names: readonly string[], { make }: Parts): Pipeline | undefined {
  try {
    return pipeline(...names.flatMap((name) => make[name]?.() ?? []))
  } catch (error) {
    if (!isHoldfastError(error)) throw error
    expect(error.code).toBe('ERR_INVALID_OPTION')
    expect(error.message).toMatch(/^pipeline: .+; .+/)
    return undefined
  }
}

const countedBy = ({ breaker }: Parts): number => breaker.circuits.get('default').snapshot().failuresInARow

/** What must hold in any order that was accepted, while every attempt fails. */
async function checkFailing(names: readonly string[]): Promise<boolean> {
  const parts = partsOf()
  const made = built(names, parts)
  if (made === undefined) return false
  const has = (name: string): boolean => names.includes(name)
  let attempts = 0
  const ended = watch(
    made.execute(() => {
      attempts++
      throw new Error('down')
    }),
  )
  await parts.clock.advance(TOTAL_MS * 2)
  const retries = has('retry-budget') ? TOKENS : RETRIES
  expect(attempts, 'retry tries as often as the budget pays for').toBe(has('retry') ? 1 + retries : 1)
  if (has('circuit-breaker')) expect(countedBy(parts), 'the breaker counts attempts').toBe(attempts)
  if (has('fallback')) expect(ended.value, 'the fallback answers when all has failed').toBe('substitute')
  else expect(ended.error).toMatchObject({ message: 'down' })
  return true
}

/** The same while nothing ever answers and two executions come at once. */
async function checkHanging(names: readonly string[]): Promise<void> {
  const parts = partsOf()
  const made = built(names, parts)
  const has = (name: string): boolean => names.includes(name)
  if (made === undefined || !(has('attempt-timeout') || has('total-timeout'))) return
  let attempts = 0
  const hang = (): Promise<never> => {
    attempts++
    return new Promise(() => {})
  }
  const ended = [watch(made.execute(hang)), watch(made.execute(hang))]
  await parts.clock.advance(TOTAL_MS * 2)
  expect(
    ended.map(({ settled }) => settled),
    'nothing hangs',
  ).toEqual([true, true])
  if (has('circuit-breaker') && has('attempt-timeout'))
    expect(countedBy(parts), 'an attempt that takes too long is a failure').toBe(attempts)
  if (has('attempt-timeout')) {
    const retries = has('retry-budget') ? TOKENS : 2 * RETRIES
    expect(attempts, 'each attempt has its time').toBe(has('retry') ? 2 + retries : 2)
  }
  if (has('attempt-timeout') && !has('retry') && !has('fallback')) {
    const codes = ended.map(({ error }) => (isHoldfastError(error) ? error.code : error))
    expect(codes, 'a wait in line is no time of the service').toEqual([
      'ERR_ATTEMPT_TIMEOUT',
      'ERR_ATTEMPT_TIMEOUT',
    ])
  }
}

async function check(names: readonly string[]): Promise<boolean> {
  const accepted = await checkFailing(names)
  if (accepted) await checkHanging(names)
  return accepted
}

const without = (names: readonly string[], name: string): string[] => names.filter((each) => each !== name)

function orders(length: number, names: readonly string[] = NAMES): string[][] {
  if (length === 0) return [[]]
  return names.flatMap((name) => orders(length - 1, without(names, name)).map((rest) => [name, ...rest]))
}

describe('any order of policies is right or refused', () => {
  test.each([1, 2, 3])('all of %d', async (length) => {
    const results: boolean[] = []
    for (const order of orders(length)) results.push(await check(order))
    expect(results).toContain(true)
    expect(results.includes(false)).toBe(length > 1)
  })

  test('longer ones', async () => {
    let accepted = 0
    const order = fc.shuffledSubarray(NAMES, { minLength: 4 })
    await fc.assert(
      fc.asyncProperty(order, async (names) => {
        if (await check(names)) accepted++
      }),
      { numRuns: 300 },
    )
    expect(accepted).toBeGreaterThan(0)
  })

  test('the order that the documentation recommends', async () => {
    expect(await check(NAMES)).toBe(true)
  })
})
