import { describe, expect, test } from 'vitest'
import { DEFAULTS } from '../../src/primitives/defaults.ts'
import { CACHE_DEFAULTS } from '../../src/cache/index.ts'
import { RATE_LIMIT_DEFAULTS } from '../../src/rate-limit/index.ts'
import { dotted, missingDefaults, unknownDefaults, wrongDefaults } from './defaults.ts'
import { documentation, parsePage } from './markdown.ts'

/** Which page states which defaults of the client, all of them. */
const pages: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'docs/policies/retry.md': DEFAULTS.retry,
  'docs/policies/circuit-breaker.md': DEFAULTS.circuitBreaker,
  'docs/policies/retry-budget.md': DEFAULTS.retryBudget,
  'docs/policies/hedge.md': DEFAULTS.hedge,
  'docs/policies/throttle.md': DEFAULTS.throttle,
  'docs/policies/timeout.md': DEFAULTS.timeout,
  'docs/policies/bulkhead.md': DEFAULTS.bulkhead,
  'docs/policies/concurrency-limit.md': DEFAULTS.concurrencyLimit,
  'docs/idempotency-keys.md': DEFAULTS.idempotency,
  'docs/cache.md': CACHE_DEFAULTS,
  'docs/rate-limit.md': RATE_LIMIT_DEFAULTS,
}
const named = Object.keys(dotted(DEFAULTS))
const docs = documentation((path, source) => path in pages || named.some((name) => source.includes(name)))

describe('the defaults in the documentation', () => {
  test.each(Object.entries(pages))('%s states all of them, as the code has them', (path, constants) => {
    const page = docs.find((candidate) => candidate.path === path)
    if (!page) throw new Error(`${path} does not exist`)
    expect(wrongDefaults(page, constants)).toEqual([])
    expect(unknownDefaults(page, constants)).toEqual([])
    expect(missingDefaults(page, constants)).toEqual([])
  })

  test.each(docs.filter(({ path }) => !(path in pages)))(
    '$path is right where it names one in full',
    (page) => {
      expect(wrongDefaults(page, dotted(DEFAULTS))).toEqual([])
    },
  )
})

describe('the check itself', () => {
  const table = (...rows: string[]) =>
    parsePage('a.md', ['| Option | Default | Meaning |', '| --- | --- | --- |', ...rows].join('\n'))

  test('accepts what is right, however it is written', () => {
    const page = table(
      "| `name` | `'x'` | |",
      '| `sizes` | `[1_000, 2]` (bytes) | |',
      '| `off` | `false` | |',
      '| `hook` | - | |',
    )
    expect(wrongDefaults(page, { name: 'x', sizes: [1000, 2], off: false })).toEqual([])
  })

  test('refuses another value, an unknown option and a missing one', () => {
    const page = table('| `size` | `2` | |', '| `old` | `3` | |')
    const constants = { size: 1, fresh: 1 }
    expect(wrongDefaults(page, constants)).toEqual(['a.md:3: size is 1, the page says 2'])
    expect(unknownDefaults(page, constants)).toEqual(['a.md:4: old'])
    expect(missingDefaults(page, constants)).toEqual(['fresh'])
  })

  test('reads names in full', () => {
    const page = table('| `retry.maxRetries` | `5` | |')
    expect(wrongDefaults(page, dotted(DEFAULTS))).toEqual(['a.md:3: retry.maxRetries is 4, the page says 5'])
  })
})
