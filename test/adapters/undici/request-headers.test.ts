/** What a dispatcher under the interceptor is given for headers, in whichever form the caller has given them. */
import { describe, expect, test } from 'vitest'
import type { AnyHandler, DispatchOptions, RequestHeaders } from '../../../src/adapters/undici/dispatch.ts'
import { interceptor, type InterceptorOptions } from '../../../src/adapters/undici/index.ts'

const controller = { aborted: false, paused: false, reason: null, abort() {}, pause() {}, resume() {} }

/** The headers of each of two attempts: the first one is answered with a 503. */
async function sent(
  headers: RequestHeaders | undefined,
  method = 'POST',
  options: InterceptorOptions = {},
): Promise<DispatchOptions['headers'][]> {
  const attempts: DispatchOptions['headers'][] = []
  const retry = { baseDelayMs: 0 }
  const dispatch = interceptor({ retry, ...options })((given: DispatchOptions, handler: AnyHandler) => {
    attempts.push(given.headers)
    handler.onRequestStart?.(controller, {})
    handler.onResponseStart?.(controller, attempts.length < 2 ? 503 : 200, {})
    handler.onResponseEnd?.(controller, {})
    return true
  })
  await new Promise<void>((resolve, reject) => {
    const handler: AnyHandler = {
      onResponseEnd: () => resolve(),
      onResponseError: (_, error) => reject(error),
    }
    const given = { origin: 'http://api.test', path: '/', method }
    dispatch(headers === undefined ? given : { ...given, headers }, handler)
  })
  return attempts
}

/** Names and values as they stand in any of the forms. */
function listed(headers: RequestHeaders | undefined): (readonly [string, unknown])[] {
  if (headers instanceof Set) return [...(headers as Set<readonly [string, unknown]>)]
  if (!Array.isArray(headers)) return Object.entries(headers ?? {})
  return headers.flatMap((each, at) => (at % 2 === 0 ? [[String(each), headers[at + 1]] as const] : []))
}

/** As `[name, value]` pairs in small letters, in the order of names, whatever the form. */
function pairs(headers: DispatchOptions['headers']): [string, string][] {
  return listed(headers)
    .flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name.toLowerCase(), String(one)]),
    )
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
}

const UUID = /^[\da-f-]{36}$/

const given: readonly (readonly [string, RequestHeaders, readonly (readonly [string, string])[]])[] = [
  [
    'an object',
    { 'X-One': 'a', 'x-two': 'b' },
    [
      ['x-one', 'a'],
      ['x-two', 'b'],
    ],
  ],
  [
    'names and values in turn',
    ['X-One', 'a', 'x-two', 'b'],
    [
      ['x-one', 'a'],
      ['x-two', 'b'],
    ],
  ],
  ['pairs', new Map([['X-One', 'a']]), [['x-one', 'a']]],
  [
    'a name that is there twice',
    ['X-One', 'a', 'X-One', 'b'],
    [
      ['x-one', 'a'],
      ['x-one', 'b'],
    ],
  ],
  [
    'a name that is there in two spellings',
    ['X-One', 'a', 'x-one', 'b'],
    [
      ['x-one', 'a'],
      ['x-one', 'b'],
    ],
  ],
  [
    'several values',
    { 'X-One': ['a', 'b'], 'x-two': 'c' },
    [
      ['x-one', 'a'],
      ['x-one', 'b'],
      ['x-two', 'c'],
    ],
  ],
  ['spaces around a value', { 'x-one': ' a ' }, [['x-one', ' a ']]],
  ['no value at all', { 'x-one': '' }, [['x-one', '']]],
]

describe('the headers of a request', () => {
  test.each(given)('are given on as they came where nothing is added: %s', async (_, headers) => {
    for (const each of await sent(headers, 'GET')) expect(each).toBe(headers)
  })

  test.each(given)('have the key beside them, on each attempt the same: %s', async (_, headers, plain) => {
    const attempts = (await sent(headers)).map(pairs)
    const isKey = ([name]: readonly [string, string]): boolean => name === 'idempotency-key'
    const keys = attempts.flatMap((each) => each.filter(isKey))
    expect(keys).toEqual([keys[0], keys[0]])
    expect(keys[0]?.[1]).toMatch(UUID)
    const others = attempts.map((each) => each.filter((pair) => !isKey(pair)))
    expect(others).toEqual([plain, plain])
  })

  test('are in the caller’s spelling, in an object of each attempt’s own', async () => {
    const [first, second] = await sent({ 'X-One': 'a', AUTHORIZATION: 'b' })
    expect(Object.keys(first ?? {}).toSorted()).toEqual(['AUTHORIZATION', 'Idempotency-Key', 'X-One'])
    expect(second).toEqual(first)
    expect(second).not.toBe(first)
  })

  test('have no second key where the caller has one, in any spelling', async () => {
    const headers = { 'IDEMPOTENCY-key': '"mine"', 'x-one': 'a' }
    for (const each of await sent(headers)) expect(each).toBe(headers)
  })

  test('are none where there are none, but for the key', async () => {
    expect(await sent(undefined, 'GET')).toEqual([undefined, undefined])
    expect((await sent(undefined)).map((each) => Object.keys(each ?? {}))).toEqual([
      ['Idempotency-Key'],
      ['Idempotency-Key'],
    ])
  })

  test('take what beforeAttempt changes, beside what it leaves alone', async () => {
    const beforeAttempt: InterceptorOptions['beforeAttempt'] = ({ headers, attempt }) =>
      headers.set('x-one', String(attempt))
    const attempts = await sent({ 'X-One': 'a', 'X-Two': 'b' }, 'GET', { beforeAttempt })
    expect(attempts).toEqual([
      { 'X-Two': 'b', 'x-one': '1' },
      { 'X-Two': 'b', 'x-one': '2' },
    ])
  })

  const change: InterceptorOptions['beforeAttempt'] = ({ headers }) => headers.set('x-new', 'c')
  test.each([
    ['nothing is added', {}, []],
    ['a hook adds one', { beforeAttempt: change }, [['x-new', 'c']]],
  ])('that can be gone through only once go with each attempt where %s', async (_, options, added) => {
    const once = new Map([['X-One', 'a']]).entries()
    const all = [...added, ['x-one', 'a']]
    expect((await sent(once, 'GET', options)).map(pairs)).toEqual([all, all])
  })

  test.each(['constructor', '__proto__'])('may be called %s', async (name) => {
    for (const each of await sent([name, 'a'], 'GET', { beforeAttempt: change }))
      expect(Object.entries(each ?? {})).toEqual([
        [name, 'a'],
        ['x-new', 'c'],
      ])
  })

  test.each([{ 'x one': 'a' }, { 'x-one': 'a€' }])(
    'that are malformed are left for undici to refuse: %j',
    async (headers) => {
      for (const each of await sent(headers, 'GET')) expect(each).toBe(headers)
      const [name, value] = Object.entries(headers)[0] ?? []
      for (const each of await sent(headers, 'GET', { beforeAttempt: change }))
        expect(each).toEqual({ [String(name)]: value, 'x-new': 'c' })
    },
  )
})
