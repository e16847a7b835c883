import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { createFetch } from '../client/create-fetch.ts'
import { describePolicies } from './describe.ts'
import { pipeline } from './pipeline.ts'
import { retry } from '../policies/retry.ts'
import { timeout } from '../policies/timeout.ts'
import type { Policy } from './policy.ts'

test('a pipeline is a tree, outermost first, with settings', () => {
  const mine: Policy = { name: 'mine', wrap: (next) => next }
  const made = pipeline(
    timeout({ totalMs: 5000 }),
    retry({ maxRetries: 2, jitter: ({ delayMs }) => delayMs }),
    mine,
  )
  expect(made.describe()).toBe(
    [
      'total-timeout  totalMs 5000',
      '└─ retry  maxRetries 2 · baseDelayMs 1000 · factor 2 · maxDelayMs 30000 · jitter custom',
      '   └─ mine',
    ].join('\n'),
  )
})

test('settings are shown as short as they can be', () => {
  const settings = {
    list: ['a', 'b'],
    set: new Set([1]),
    off: false,
    absent: undefined,
    nested: { at: 1, by: 2 },
    none: null,
    empty: [],
  }
  expect(describePolicies([{ name: 'x', settings }])).toBe(
    'x  list a, b · set 1 · nested { at 1, by 2 } · none null · empty none',
  )
})

test('console.log shows the tree of a pipeline, and of a fetch with the circuits in trouble', async () => {
  expect(inspect(pipeline(retry()))).toBe(`pipeline\n${pipeline(retry()).describe()}`)
  const fetch = createFetch({ fetch: async () => new Response() })
  await fetch('http://well.test')
  fetch.circuits.get('http://ill.test').isolate()
  const shown = inspect(fetch).split('\n')
  expect(shown[0]).toBe('holdfast fetch')
  expect(shown.slice(1, -1).join('\n')).toBe(fetch.describe())
  expect(shown.at(-1)).toBe('circuits: 2, http://ill.test isolated')
})

test('a fetch is described with its key, its policies in order, and its transport', () => {
  const names = createFetch({ fallback: () => undefined })
    .describe()
    .split('\n')
    .map((line) => /[\w-]+/.exec(line)?.[0])
  expect(names).toEqual([
    'idempotency-key',
    'fallback',
    'total-timeout',
    'retry-budget',
    'retry',
    'circuit-breaker',
    'attempt-timeout',
    'transport',
  ])
  expect(createFetch().with({ retry: false }).describe()).not.toContain('retry ')
})

test('what is off is not there', () => {
  const fetch = createFetch({ retry: false, circuitBreaker: false, idempotency: false, timeout: false })
  expect(fetch.with({ retryBudget: false }).describe()).toBe('transport  fetch globalThis.fetch')
})
