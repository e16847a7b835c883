import { describe, expect, test, vi } from 'vitest'
import {
  createFetch,
  DEFAULTS,
  outcomeOf,
  type CallOptions,
  type DerivedOptions,
  type HoldfastEvent,
} from '../../src/index.ts'
import { faultServer, reset, status, times } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { failureOf, finish } from './support/wait.ts'

const CHANGING: readonly [unknown, string][] = [
  ['x', '"x"'],
  [null, 'null'],
  [true, 'true'],
  [5, '5'],
  [[], 'an array of 0'],
]

const OBJECTS = [
  'retry',
  'circuitBreaker',
  'idempotency',
  'timeout',
  'retryBudget',
  'bulkhead',
  'hedge',
] as const

/** What each number may not be; the message must show it. */
const NUMBERS: readonly [string, string, readonly unknown[]][] = [
  ['retry', 'maxRetries', [-1, 1.5, NaN, Infinity, '4', null]],
  ['retry', 'baseDelayMs', [-1, NaN, Infinity, '1', null]],
  ['retry', 'factor', [0.5, -2, NaN, Infinity, '2']],
  ['retry', 'maxDelayMs', [0, -1, NaN, Infinity, '1']],
  ['retry', 'jitter', [-0.1, 1.1, NaN, 'half', null, {}]],
  ['retry', 'maxRetryAfterMs', [-1, NaN, Infinity, '1', null]],
  ['retry', 'maxBufferBytes', [-1, 0.5, NaN, Infinity, '1', null]],
  ['retry', 'statuses', ['5xx', 503, null, {}]],
  ['retry', 'methods', ['GET', [5], null, {}]],
  ['retry', 'resumeBody', [1, 'true', null]],
  ['retry', 'shouldRetry', ['yes', true, null, {}]],
  ['circuitBreaker', 'windowMs', [0, -1, NaN, Infinity, '1', null]],
  ['circuitBreaker', 'failureRate', [0, -1, 1.1, NaN, '0.5', null]],
  ['circuitBreaker', 'minimumCalls', [0, 1.5, NaN, '1', null]],
  ['circuitBreaker', 'openMs', [0, -1, NaN, Infinity, '1', null]],
  ['circuitBreaker', 'maxOpenMs', [0, -1, 4999, NaN, '1', null]],
  ['circuitBreaker', 'whenOpen', ['park', true, null]],
  ['circuitBreaker', 'maxCircuits', [0, 1.5, NaN, '1', null]],
  ['circuitBreaker', 'key', [5, true, null, {}]],
  ['circuitBreaker', 'isFailure', ['x', true, null]],
  ['idempotency', 'header', ['', 'a b', 'ключ', 'a:', 5, null]],
  ['idempotency', 'methods', ['POST', [5], null]],
  ['idempotency', 'honoredBy', ['none', 'https://x.test', ['x.test'], [5], ['mailto:a@b.c'], null]],
  ['idempotency', 'generateKey', ['k', null, true]],
  ['idempotency', 'format', ['quoted', null, true]],
  ['idempotency', 'windowMs', [0, -1, NaN, Infinity, '1', null]],
  ['timeout', 'attemptMs', [0, -1, NaN, Infinity, '1', null, true]],
  ['timeout', 'totalMs', [0, -1, NaN, Infinity, '1', null, true]],
  ['timeout', 'bodyIdleMs', [0, -1, NaN, Infinity, '1', null, true]],
  ['retryBudget', 'perSuccess', [-1, NaN, Infinity, '1', null]],
  ['retryBudget', 'perRetry', [0, -1, NaN, Infinity, '1', null]],
  ['retryBudget', 'perMinute', [-1, NaN, Infinity, '1', null]],
  ['retryBudget', 'capacity', [-1, NaN, Infinity, '1', null]],
  ['hedge', 'percentile', [0, -1, 1.1, NaN, '1', null]],
  ['hedge', 'minimumSamples', [0, 1.5, 257, NaN, '1', null]],
  ['hedge', 'delayMs', [-1, NaN, Infinity, '1', null]],
  ['hedge', 'maxExtra', [0, -1, 1.1, NaN, '1', null]],
  ['hedge', 'key', [5, true, null, {}]],
  ['bulkhead', 'maxConcurrent', [0, -1, 1.5, NaN, Infinity, '1', null]],
  ['bulkhead', 'maxQueued', [-1, 1.5, NaN, Infinity, '1', null]],
]

const INVALID = NUMBERS.flatMap(([part, name, values]) =>
  values.map((value) => [part, name, shown(value), value] as const),
)

/** How a message shows a value. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 1 ? shown(value[0]) : `an array of ${value.length}`
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && value !== null) return 'an object with no keys'
  return String(value)
}

function errorOf(options: unknown): Error & { code?: unknown } {
  try {
    createFetch(options as never)
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

const respond = (): undefined => undefined

const answering = (): { fetch: () => Promise<Response> } => ({ fetch: async () => new Response() })

describe('an invalid option is refused at construction, with its name and value', () => {
  test.each(INVALID)('%s.%s: %s', (part, name, text, value) => {
    const error = errorOf({ [part]: { [name]: value } })
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', name: 'HoldfastError' })
    expect(error.message).toMatch(name)
    const inner = name === 'methods' && Array.isArray(value) ? 'an array of 1' : text
    expect(error.message).toMatch(inner)
  })

  test.each([['6xx'], [99], [600], [503.5], [null], ['503'], ['']])('a status: %j', (pattern) => {
    const error = errorOf({ retry: { statuses: [pattern] } })
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
    expect(error.message).toMatch(shown(pattern))
  })

  test.each(OBJECTS.flatMap((part) => CHANGING.map(([value, text]) => [part, text, value] as const)))(
    'a part that is no object: %s %s',
    (part, text, value) => {
      const error = errorOf({ [part]: value })
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
      expect(error.message).toMatch(part)
      expect(error.message).toMatch(text)
    },
  )

  test.each([
    ['fetch', 'x'],
    ['fetch', null],
    ['onEvent', 'x'],
    ['onEvent', null],
    ['beforeAttempt', 5],
    ['fallback', 5],
    ['fallback', null],
    ['fallback', { methods: ['GET'] }],
    ['fallback', { methods: 'GET', respond }],
    ['fallback', { respond }],
    ['policies', {}],
    ['policies', null],
    ['policies', [null]],
    ['policies', [{ name: 'x' }]],
    ['clock', 'x'],
    ['clock', { now: () => 0 }],
    ['random', 5],
    ['random', null],
    ['cache', true],
  ])('%s: %j', (name, value) => {
    const error = errorOf({ [name]: value })
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
    expect(error.message).toMatch(name)
  })

  test.each([null, 5, 'x', [], () => undefined])('options that are no object: %s', (options) => {
    expect(errorOf(options)).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  })

  test('maxOpenMs may not be shorter than openMs', () => {
    expect(errorOf({ circuitBreaker: { openMs: 9000, maxOpenMs: 8000 } }).message).toMatch('8000')
    expect(() => createFetch({ circuitBreaker: { openMs: 90_000 } })).not.toThrow()
  })
})

describe('an unknown option is refused', () => {
  test.each(OBJECTS)('%s', (part) => {
    const error = errorOf({ [part]: { maxRetrys: 1 } })
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' })
    expect(error.message).toMatch(/has no option "maxRetrys"/)
  })

  test('at the top', () => {
    expect(errorOf({ retries: 3 }).message).toMatch(/createFetch has no option "retries"; it has .*retry/)
  })

  test('of a fallback', () => {
    expect(errorOf({ fallback: { methods: [], respond, reply: 1 } }).message).toMatch('reply')
  })
})

describe('what is no error', () => {
  test.each(OBJECTS)('undefined, false and {}: %s', (part) => {
    for (const value of [undefined, false, {}]) {
      expect(() => createFetch({ [part]: value })).not.toThrow()
    }
  })

  test.each(OBJECTS)('every default, given as it is: %s', (part) => {
    expect(() => createFetch({ [part]: DEFAULTS[part] })).not.toThrow()
  })

  test.each(OBJECTS)('every option undefined: %s', async (part) => {
    const options = Object.fromEntries(Object.keys(DEFAULTS[part]).map((name) => [name, undefined]))
    const fetch = createFetch({ [part]: options, ...answering() })
    expect((await fetch('http://x.test/', { method: 'POST' })).status).toBe(200)
  })

  test('parts that are off, and those still to come', () => {
    const off = { onEvent: false, beforeAttempt: false, policies: false, fallback: false } as const
    expect(() => createFetch({ ...off, cache: false, hedge: false, bulkhead: false })).not.toThrow()
  })

  test.each([
    { retry: { maxRetries: 0, baseDelayMs: 0, factor: 1, jitter: 1, maxRetryAfterMs: 0, maxBufferBytes: 0 } },
    { retry: { statuses: [100, 599, '1xx', '5xx'], methods: [] } },
    { retry: { jitter: () => 5 } },
    { retryBudget: { perSuccess: 0, perMinute: 0, capacity: 0, perRetry: 0.1 } },
    { circuitBreaker: { failureRate: 1, minimumCalls: 1, maxCircuits: 1, key: '' } },
    { timeout: { attemptMs: false, totalMs: false, bodyIdleMs: 0.5 } },
  ] as const)('the least and the most: %j', (options) => {
    expect(() => createFetch(options)).not.toThrow()
  })

  test('creating a fetch starts no timer and reads no options later', async () => {
    const clock = testClock()
    const random = vi.fn<() => number>(() => 0.5)
    const retry = { maxRetries: 1 }
    const fetch = createFetch({ clock, random, retry, fetch: async () => new Response('', { status: 503 }) })
    expect([clock.pending, random.mock.calls.length]).toEqual([0, 0])
    retry.maxRetries = 3
    expect(outcomeOf(await finish(clock, fetch('http://x.test/')))?.attempts).toBe(2)
  })
})

describe('options of a single call', () => {
  test('retry', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, random: () => 0.5 })
    await fetch(server.url, { holdfast: { retry: false } })
    expect(server.requests).toHaveLength(1)
    await finish(clock, fetch(server.url, { holdfast: { retry: { maxRetries: 1 } } }))
    expect(server.requests).toHaveLength(3)
    expect(clock.sleeps).toEqual([1000])
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(8)
  })

  test('are laid over those of createFetch, one by one', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, retry: { baseDelayMs: 10, jitter: 'none', maxRetries: 3 } })
    await finish(clock, fetch(server.url, { holdfast: { retry: { maxRetries: 2 } } }))
    expect(clock.sleeps).toEqual([10, 20])
  })

  test('switch on what is off', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const fetch = createFetch({
      clock,
      retry: false,
      circuitBreaker: false,
      idempotency: false,
      timeout: false,
      retryBudget: false,
    })
    const response = await finish(clock, fetch(server.url, { holdfast: { retry: {} } }))
    expect(response.status).toBe(200)
  })

  test('timeout', async () => {
    const clock = testClock()
    const fetch = createFetch({ clock, fetch: () => new Promise(() => {}) })
    const work = failureOf(fetch('http://x.test/', { holdfast: { timeout: { totalMs: 50 } } }))
    await clock.advance(50)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', timeoutMs: 50 })
  })

  test('idempotency', async () => {
    await using server = await faultServer()
    const fetch = createFetch()
    await fetch(server.url, { method: 'POST', holdfast: { idempotency: false } })
    await fetch(server.url, { method: 'POST', holdfast: { idempotency: { header: 'x-key' } } })
    expect(server.requests.map(({ headers }) => [headers['idempotency-key'], headers['x-key']])).toEqual([
      [undefined, undefined],
      [undefined, expect.any(String)],
    ])
  })

  test('circuitBreaker.key', async () => {
    const fetch = createFetch({ ...answering() })
    const response = await fetch('http://x.test/', { holdfast: { circuitBreaker: { key: 'own' } } })
    expect(outcomeOf(response)?.circuit).toBe('own')
    expect([...fetch.circuits].map(({ key }) => key)).toEqual(['own'])
  })

  test('circuitBreaker: false', async () => {
    const fetch = createFetch({ ...answering() })
    fetch.circuits.get('http://x.test').isolate()
    expect(await failureOf(fetch('http://x.test/'))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect((await fetch('http://x.test/', { holdfast: { circuitBreaker: false } })).status).toBe(200)
  })

  test('retryBudget: false', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [status(503)] })
    const fetch = createFetch({ clock, retryBudget: { capacity: 0 } })
    expect((await finish(clock, fetch(server.url, { holdfast: { retryBudget: false } }))).status).toBe(200)
  })

  test('fallback', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(5, status(503))] })
    const holdfast = { fallback: () => new Response('instead') }
    const response = await finish(clock, createFetch({ clock })(server.url, { holdfast }))
    expect(await response.text()).toBe('instead')
  })

  test('are not seen by the transport, nor changed', async () => {
    const transport = vi.fn<() => Promise<Response>>(async () => new Response())
    const init = Object.freeze({ holdfast: Object.freeze({ retry: false as const }) })
    await createFetch({ fetch: transport })('http://x.test/', init)
    expect(transport.mock.calls.flat()).not.toContainEqual(
      expect.objectContaining({ holdfast: expect.anything() }),
    )
  })

  test.each<[string, unknown]>([
    ['retrys', { retrys: {} }],
    ['maxRetries', { retry: { maxRetries: -1 } }],
    ['attemptMs', { timeout: { attemptMs: 'x' } }],
    ['header', { idempotency: { header: '' } }],
    ['idempotencyKey', { idempotencyKey: '' }],
    ['idempotencyKey', { idempotencyKey: 5 }],
    ['idempotencyKey', { idempotencyKey: 'a\nb' }],
    ['body', { body: 'x' }],
    ['body', { body: null }],
    ['fallback', { fallback: 'x' }],
    ['key', { circuitBreaker: { key: 5 } }],
    ['openMs', { circuitBreaker: { openMs: 1 } }],
    ['failureRate', { circuitBreaker: { failureRate: 1 } }],
    ['retryBudget', { retryBudget: {} }],
    ['retryBudget', { retryBudget: { capacity: 5 } }],
    ['bulkhead', { bulkhead: { maxConcurrent: 5 } }],
    ['hedge', { hedge: { delayMs: 5 } }],
    ['onEvent', { onEvent: () => {} }],
    ['beforeAttempt', { beforeAttempt: () => {} }],
    ['policies', { policies: [] }],
    ['clock', { clock: testClock() }],
    ['holdfast', null],
    ['holdfast', 'x'],
    ['holdfast', []],
  ])('that are invalid reject the call and send nothing: %s %j', async (name, holdfast) => {
    const transport = vi.fn<() => Promise<Response>>(async () => new Response())
    const fetch = createFetch({ fetch: transport })
    const error = await failureOf(fetch('http://x.test/', { holdfast: holdfast as CallOptions }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(name) })
    expect(transport).not.toHaveBeenCalled()
    expect(outcomeOf(error)).toBeUndefined()
  })

  test('are checked whatever is off', async () => {
    const off = { retry: false, circuitBreaker: false, idempotency: false, timeout: false } as const
    const fetch = createFetch({ ...off, ...answering() })
    const holdfast = { retrys: 1 } as CallOptions
    expect(await failureOf(fetch('http://x.test/', { holdfast }))).toMatchObject({
      code: 'ERR_INVALID_OPTION',
    })
  })

  test('circuitBreaker.key() that returns no string rejects the call', async () => {
    const fetch = createFetch({ circuitBreaker: { key: () => 5 as never }, ...answering() })
    expect(await failureOf(fetch('http://x.test/'))).toMatchObject({ code: 'ERR_INVALID_OPTION' })
  })
})

describe('fetch.with', () => {
  test('changes what it is given, and leaves the first fetch as it was', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, retry: { maxRetries: 2, jitter: 'none' } })
    const derived = fetch.with({ retry: { maxRetries: 1 } })
    await finish(clock, derived(server.url))
    expect(server.requests).toHaveLength(2)
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(5)
    expect(clock.sleeps).toEqual([1000, 1000, 2000])
  })

  test('can be repeated, each over the one before', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock })
      .with({ retry: { maxRetries: 1 } })
      .with({ retry: { jitter: 'none', baseDelayMs: 5 } })
      .with({ retry: {}, timeout: { totalMs: 1000 } })
    await finish(clock, fetch(server.url))
    expect(clock.sleeps).toEqual([5])
  })

  test('switches off, and on again', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, retry: { maxRetries: 1 } }).with({ retry: false })
    await fetch(server.url)
    expect(server.requests).toHaveLength(1)
    await finish(clock, fetch.with({ retry: { maxRetries: 2 } })(server.url))
    expect(server.requests).toHaveLength(4)
  })

  test('undefined changes nothing', async () => {
    const fetch = createFetch({ retry: false, fetch: async () => new Response('', { status: 503 }) })
    const changes: object = { retry: undefined }
    expect((await fetch.with(changes)('http://x.test/')).status).toBe(503)
  })

  test('undefined in a part changes nothing either', async () => {
    const transport = vi.fn<() => Promise<Response>>(async () => new Response('', { status: 503 }))
    const fetch = createFetch({ fetch: transport, retry: { maxRetries: 0 }, timeout: { totalMs: 1 } })
    const changes: object = { retry: { maxRetries: undefined }, timeout: { totalMs: undefined } }
    expect(fetch.with(changes).describe()).toBe(fetch.describe())
    await fetch('http://x.test/', { holdfast: changes })
    expect(transport).toHaveBeenCalledOnce()
  })

  test('shares circuits', async () => {
    await using server = await faultServer({ faults: [reset()] })
    const fetch = createFetch({ retry: false, circuitBreaker: { minimumCalls: 1 } })
    const derived = fetch.with({ timeout: false })
    await failureOf(derived(server.url))
    expect(await failureOf(fetch(server.url))).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
    expect(derived.circuits.get(server.url)).toBe(fetch.circuits.get(server.url))
    expect(server.requests).toHaveLength(1)
  })

  test('shares budgets', async () => {
    const clock = testClock()
    await using server = await faultServer({ faults: [times(9, status(503))] })
    const fetch = createFetch({ clock, retryBudget: { capacity: 1, perMinute: 0 } })
    await finish(clock, fetch.with({})(server.url))
    await finish(clock, fetch(server.url))
    expect(server.requests).toHaveLength(3)
  })

  test('shares the transport and the clock', async () => {
    const clock = testClock()
    const transport = vi.fn<() => Promise<Response>>(async () => new Response('', { status: 503 }))
    const fetch = createFetch({ clock, fetch: transport }).with({ idempotency: false })
    await finish(clock, fetch('http://x.test/'))
    expect(transport).toHaveBeenCalledTimes(5)
  })

  test('gives a listener, a hook and policies of its own', async () => {
    const first: HoldfastEvent[] = []
    const second: HoldfastEvent[] = []
    const fetch = createFetch({ onEvent: (event) => first.push(event), ...answering() })
    const beforeAttempt = vi.fn<() => void>()
    const derived = fetch.with({ onEvent: (event) => second.push(event), beforeAttempt })
    await derived('http://x.test/')
    expect([first.length, second.at(-1)?.type]).toEqual([0, 'call-end'])
    await fetch('http://x.test/')
    expect(first.at(-1)?.type).toBe('call-end')
    expect(beforeAttempt).toHaveBeenCalledOnce()
  })

  test.each<[string, unknown]>([
    ['openMs', { circuitBreaker: { openMs: 1 } }],
    ['minimumCalls', { circuitBreaker: { minimumCalls: 1 } }],
    ['maxCircuits', { circuitBreaker: { maxCircuits: 1 } }],
    ['windowMs', { circuitBreaker: { windowMs: 1 } }],
    ['retryBudget', { retryBudget: { capacity: 1 } }],
    ['retryBudget', { retryBudget: {} }],
    ['retryBudget', { retryBudget: null }],
    ['retryBudget', { retryBudget: true }],
    ['bulkhead', { bulkhead: {} }],
    ['hedge', { hedge: {} }],
    ['bulkhead', { bulkhead: null }],
    ['fetch', { fetch: async () => new Response() }],
    ['clock', { clock: testClock() }],
    ['random', { random: () => 0 }],
    ['idempotencyKey', { idempotencyKey: 'k' }],
    ['retrys', { retrys: {} }],
    ['maxRetries', { retry: { maxRetries: -1 } }],
    ['policies', { policies: [5] }],
    ['with', null],
    ['with', 'x'],
  ])('refuses what cannot be changed or is wrong: %s %j', (name, changes) => {
    const fetch = createFetch()
    expect(() => fetch.with(changes as DerivedOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', message: expect.stringMatching(name) }),
    )
  })

  test('may choose another key, rule or way of waiting for a circuit', async () => {
    const fetch = createFetch({ ...answering() })
    const derived = fetch.with({ circuitBreaker: { key: 'k', isFailure: () => false, whenOpen: 'wait' } })
    expect(outcomeOf(await derived('http://x.test/'))?.circuit).toBe('k')
  })
})
