import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { HoldfastFetch } from '../client/options.ts'
import type { HoldfastEvent } from '../core/events.ts'
import { merged } from './config.ts'
import type { Environment } from './environment.ts'
import { registeredFetch } from './register.ts'
import { Report } from './report.ts'

/** A working directory with these files, and what is registered there. */
function bench(files: Readonly<Record<string, string>> = {}, environment: Environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-register-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const reports: (() => string)[] = []
  const register = (): HoldfastFetch | undefined =>
    registeredFetch({ environment, folder, onExit: (report) => reports.push(report) })
  return { folder, reports, register, describe: () => register()?.describe() ?? 'nothing' }
}

describe('what is registered', () => {
  test('has every default but keys and the limit for an attempt', () => {
    const { describe } = bench()
    const text = describe()
    expect(text).toContain('retry')
    expect(text).toContain('honoredBy none')
    expect(text).not.toContain('attempt-timeout')
  })

  test('takes options from holdfast.config.json', () => {
    const { describe } = bench({ 'holdfast.config.json': '{ "retry": { "maxRetries": 7 } }' })
    expect(describe()).toContain('maxRetries 7')
  })

  test('also with the mark that some editors on Windows begin a file with', () => {
    const { describe } = bench({ 'holdfast.config.json': '\uFEFF{ "retry": { "maxRetries": 7 } }' })
    expect(describe()).toContain('maxRetries 7')
  })

  test.each([
    ['holdfast.config.mjs', 'export default { retry: { maxRetries: 7 } }'],
    ['holdfast.config.cjs', 'module.exports = { retry: { maxRetries: 7 } }'],
  ])('and from %s', (name, text) => {
    expect(bench({ [name]: text }).describe()).toContain('maxRetries 7')
  })

  test('the file that HOLDFAST_CONFIG names goes before the one that lies there', () => {
    const files = {
      'holdfast.config.json': '{ "retry": { "maxRetries": 7 } }',
      'other.json': '{ "retry": { "maxRetries": 8 } }',
    }
    expect(bench(files, { HOLDFAST_CONFIG: 'other.json' }).describe()).toContain('maxRetries 8')
  })

  test('a variable overrules the file, field by field', () => {
    const file = '{ "retry": { "maxRetries": 7, "baseDelayMs": 5 }, "circuitBreaker": false }'
    const environment = {
      HOLDFAST_MAX_RETRIES: '2',
      HOLDFAST_HONORED_BY: 'https://a.example, https://b.example',
      HOLDFAST_ATTEMPT_MS: '300',
      HOLDFAST_TOTAL_MS: 'off',
    }
    const text = bench({ 'holdfast.config.json': file }, environment).describe()
    expect(text).toContain('maxRetries 2')
    expect(text).toContain('baseDelayMs 5')
    expect(text).toContain('https://b.example')
    expect(text).toContain('attempt-timeout')
    expect(text).not.toContain('total-timeout')
    expect(text).not.toContain('circuit-breaker')
  })

  test('a variable turns one timeout on where the file has turned all off', () => {
    const files = { 'holdfast.config.json': '{ "timeout": false }' }
    const text = bench(files, { HOLDFAST_TOTAL_MS: '5000' }).describe()
    expect(text).toContain('totalMs 5000')
    expect(text).not.toContain('attempt-timeout')
    expect(bench(files, { HOLDFAST_ATTEMPT_MS: '300' }).describe()).not.toContain('total-timeout')
  })

  test('HOLDFAST_OFF: nothing, whatever the file says', () => {
    const { register } = bench({ 'holdfast.config.json': 'nonsense' }, { HOLDFAST_OFF: '1' })
    expect(register()).toBeUndefined()
  })

  test('empty variables are none', () => {
    const environment = { HOLDFAST_OFF: '', HOLDFAST_MAX_RETRIES: '', HOLDFAST_CONFIG: '' }
    const files = { 'holdfast.config.json': '{ "retry": { "baseDelayMs": 5 } }' }
    expect(bench({}, environment).describe()).toContain('maxRetries 4')
    expect(bench(files, environment).describe()).toContain('baseDelayMs 5')
  })

  test.each(['{ timeout: undefined, idempotency: undefined }', '{ idempotency: { honoredBy: undefined } }'])(
    'what a file leaves undefined stays off: %s',
    (options) => {
      const text = bench({ 'holdfast.config.cjs': `module.exports = ${options}` }).describe()
      expect(text).toContain('honoredBy none')
      expect(text).not.toContain('attempt-timeout')
    },
  )
})

describe('what is wrong is said with its place', () => {
  test.each<[name: string, files: Record<string, string>, environment: Environment, message: RegExp]>([
    [
      'a value',
      { 'holdfast.config.json': '{ "retry": { "maxRetries": -1 } }' },
      {},
      /holdfast\.config\.json: .*retry\.maxRetries .*-1/,
    ],
    ['an option', { 'holdfast.config.json': '{ "retries": 3 }' }, {}, /holdfast\.config\.json: .*"retries"/],
    [
      'the transport',
      { 'holdfast.config.json': '{ "fetch": 1 }' },
      {},
      /config\.json: fetch is what gets replaced/,
    ],
    [
      'what nobody reads',
      { 'holdfast.config.json': '{ "retries": 5 }' },
      {},
      /config\.json: the configuration has no option "retries"; it has retry, .*, report$/,
    ],
    [
      'report',
      { 'holdfast.config.json': '{ "report": "yes" }' },
      {},
      /config\.json: report should be true or false, got "yes"/,
    ],
    ['what is no JSON', { 'holdfast.config.json': '{' }, {}, /config\.json can't be read: /],
    [
      'what is no object',
      { 'holdfast.config.json': '[]' },
      {},
      /config\.json should have an object of options.*got an array/,
    ],
    [
      'what is a promise of one',
      { 'holdfast.config.mjs': 'export default Promise.resolve({ retry: false })' },
      {},
      /config\.mjs should have an object of options.*got \[object Promise\]/,
    ],
    [
      'a module that throws',
      { 'holdfast.config.cjs': 'throw new Error("mine")' },
      {},
      /config\.cjs can't be read: mine/,
    ],
    [
      'two files',
      { 'holdfast.config.json': '{}', 'holdfast.config.cjs': '' },
      {},
      /config\.cjs and .*config\.json: keep one/,
    ],
    [
      'a file that is not there',
      {},
      { HOLDFAST_CONFIG: 'x.json' },
      /HOLDFAST_CONFIG names .*x\.json, which does not exist/,
    ],
    [
      'a number',
      {},
      { HOLDFAST_MAX_RETRIES: 'many' },
      /HOLDFAST_MAX_RETRIES should be a whole number, got "many"/,
    ],
    ['a duration', {}, { HOLDFAST_TOTAL_MS: '2s' }, /HOLDFAST_TOTAL_MS should be a whole number, got "2s"/],
    ['a flag', {}, { HOLDFAST_REPORT: 'please' }, /HOLDFAST_REPORT should be 1 or 0, got "please"/],
    ['an origin', {}, { HOLDFAST_HONORED_BY: 'api' }, /the environment: .*an origin like .*"api"/],
  ])('%s', (_, files, environment, message) => {
    expect(bench(files, environment).register).toThrow(message)
  })
})

test('what is laid over something replaces fields of parts, whole lists, and parts by false', () => {
  const base = { retry: { maxRetries: 1, baseDelayMs: 2 }, idempotency: { honoredBy: ['https://a.example'] } }
  const over = { retry: { maxRetries: 3 }, idempotency: { honoredBy: [] }, timeout: false as const }
  expect(merged(base, over)).toEqual({
    retry: { maxRetries: 3, baseDelayMs: 2 },
    idempotency: { honoredBy: [] },
    timeout: false,
  })
})

describe('the report', () => {
  const call = (path: string) => ({ id: 1, method: 'GET', url: `https://a.example${path}` })
  const end = { attempts: 1, durationMs: 1, uncertain: false } as const

  test('counts what calls took, by origin', () => {
    const report = new Report()
    const events: HoldfastEvent[] = [
      { type: 'call-start', call: call('/x') },
      { type: 'attempt-start', attempt: 1, call: call('/x') },
      { type: 'retry', attempt: 1, delayMs: 1, status: 503, call: call('/x') },
      { type: 'attempt-start', attempt: 2, call: call('/x') },
      { type: 'call-end', ...end, source: 'network', status: 503, call: call('/x') },
      { type: 'call-start', call: call('/y') },
      { type: 'call-end', ...end, source: 'cache', status: 200, call: call('/y') },
      { type: 'call-start', call: { id: 2, method: 'GET', url: 'https://b.example/' } },
      {
        type: 'call-end',
        ...end,
        source: 'network',
        error: new Error('down'),
        call: { id: 2, method: 'GET', url: 'https://b.example/' },
      },
      {
        type: 'circuit-open',
        key: 'https://b.example',
        retryAfterMs: 1,
        isolated: false,
        cause: 'failure-rate',
      },
    ]
    for (const event of events) report.listener(event)
    expect(report.toString().split('\n')).toEqual([
      'holdfast: 3 calls, 2 requests, 1 retry, 2 failed, 1 from cache or fallback, 1 circuit opening',
      '  https://a.example: 2 calls, 2 requests, 1 retry, 1 failed, 1 from cache or fallback',
      '  https://b.example: 1 call, 0 requests, 0 retries, 1 failed, 1 circuit opening',
      '',
    ])
  })

  test('stays short, and does not grow with the origins', () => {
    const report = new Report()
    for (let host = 0; host < 2000; host++)
      report.listener({
        type: 'call-start',
        call: { id: 1, method: 'GET', url: `https://h${host}.example/` },
      })
    const lines = report.toString().split('\n')
    expect(lines).toHaveLength(23)
    expect(lines[0]).toContain('2000 calls')
    expect(lines.at(-2)).toBe('  and 981 more origins')
  })

  test('is made only where it is asked for, and beside a listener of the application', async () => {
    expect(bench({}).reports).toHaveLength(0)
    const file = 'module.exports = { report: true, onEvent: ({ type }) => globalThis.seen?.push(type) }'
    const { register, reports } = bench({ 'holdfast.config.cjs': file })
    const seen: string[] = []
    Reflect.set(globalThis, 'seen', seen)
    onTestFinished(() => void Reflect.deleteProperty(globalThis, 'seen'))
    await register()?.('http://127.0.0.1:1/', { holdfast: { retry: false } }).catch(() => {})
    expect(reports.map((report) => report().split('\n')[0])).toEqual([
      'holdfast: 1 call, 1 request, 0 retries, 1 failed',
    ])
    expect(seen).toContain('call-end')
  })
})
