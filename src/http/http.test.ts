import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { discard } from './discard.ts'
import { headersOf } from './headers-of.ts'
import { checkKey, formatKey, parseKey } from './idempotency-key.ts'
import { holdersOf, IS_COMING, isComing } from './lazy-body.ts'
import { isIdempotent, isSafe } from './methods.ts'
import { originOf, parsedUrl } from './parsed-url.ts'
import { checkStatuses, statusMatcher } from './statuses.ts'
import { isRefusedByFetch } from './usage-error.ts'
import { randomUuid } from './uuid.ts'

describe('methods', () => {
  test('POST, PATCH and what nobody knows are not idempotent', () => {
    const methods = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'PURGE']
    expect(methods.filter(isSafe)).toEqual(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
    expect(methods.filter(isIdempotent)).toEqual(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
  })
})

describe('statuses', () => {
  test('numbers and classes', () => {
    const matches = statusMatcher(['5xx', 404])
    expect([200, 404, 405, 499, 500, 599].filter(matches)).toEqual([404, 500, 599])
  })

  test('are accepted from 100 to 599', () => {
    expect(() => checkStatuses('retry.statuses', [100, 599, '1xx', '5xx'])).not.toThrow()
  })

  test.each([[99], [600], [503.5], ['503'], ['6xx'], ['5x'], ['5xxx'], ['15xx'], [['5xx']]])(
    'refuses a %j among them',
    (pattern) => {
      expect(() => checkStatuses('retry.statuses', [200, pattern])).toThrow(
        /^each of retry\.statuses should be a status from 100 to 599 or a class like "5xx", got /,
      )
    },
  )

  test('refuses what is no list', () => {
    expect(() => checkStatuses('retry.statuses', '5xx')).toThrow(
      'retry.statuses should be an array of statuses and classes like "5xx", got "5xx"',
    )
  })
})

describe('idempotency keys on the wire', () => {
  test.each([
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
  ])('%s is the same key bare and quoted', (key, quoted) => {
    expect(formatKey(key, 'bare')).toBe(key)
    expect(formatKey(key, 'sf-string')).toBe(quoted)
    expect(parseKey(quoted)).toBe(key)
    expect(parseKey(key)).toBe(key)
  })

  test.each(['"half', 'half"', 'a "b"', '"a" b', '"a\\b"', 'a\\"b'])('%s is not a quotation', (key) => {
    expect(parseKey(key)).toBe(key)
  })

  test.each(['a', 'ab', '!~', 'an order, the 3rd'])('"%s" can be a key', (key) => {
    expect(() => checkKey('idempotencyKey', key)).not.toThrow()
  })

  test.each(['', ' a', 'a ', '\u00E9', 'a\u00E9', 'a\u00E9a', 'a\nb', '\u007F', 3, undefined])(
    '%j cannot be a key',
    (key) => {
      expect(() => checkKey('idempotencyKey', key)).toThrow(
        `idempotencyKey should be a key of printable ASCII characters, got ${JSON.stringify(key)}`,
      )
    },
  )
})

describe('randomUuid', () => {
  const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  afterEach(() => {
    vi.unstubAllGlobals()
  })

  test('is one of version 4, made by the platform', () => {
    expect(randomUuid()).toMatch(UUID_4)
    vi.stubGlobal('crypto', { randomUUID: () => 'the platform’s own' })
    expect(randomUuid()).toBe('the platform’s own')
  })

  test.each([
    ['zeros', () => 0, '00000000-0000-4000-8000-000000000000'],
    ['ones', () => 255, 'ffffffff-ffff-4fff-bfff-ffffffffffff'],
    ['all different', (index: number) => index, '00010203-0405-4607-8809-0a0b0c0d0e0f'],
  ])('is made of random bytes where the platform hides its own: %s', (_, byteAt, expected) => {
    const getRandomValues = (bytes: Uint8Array): Uint8Array => bytes.map((_byte, index) => byteAt(index))
    vi.stubGlobal('crypto', { getRandomValues })
    expect(randomUuid()).toBe(expected)
  })
})

describe('isRefusedByFetch', () => {
  const failure = new TypeError('fetch failed', {
    cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }),
  })

  test.each<[string, string, RequestInit]>([
    ['a GET with a body', 'http://localhost/', { body: 'x' }],
    ['a URL with credentials', 'http://user:secret@localhost/', {}],
    ['a header that is none', 'http://localhost/', { headers: { 'bad header': '1' } }],
    ['a stream without duplex', 'http://localhost/', { method: 'POST', body: new ReadableStream() }],
    ['a method that is none', 'http://localhost/', { method: 'GE T' }],
    ['a body that is none', 'http://localhost/', { method: 'POST', body: Object.create(null) as Blob }],
  ])('%s', (_, url, init) => {
    expect(isRefusedByFetch(failure, new URL(url), init)).toBe(true)
  })

  test('told by an error of another realm, as in Jest', () => {
    const foreign: unknown = runInNewContext("new TypeError('x')")
    expect(foreign instanceof TypeError).toBe(false)
    expect(isRefusedByFetch(foreign, new URL('http://localhost/'), { body: 'x' })).toBe(true)
  })

  test.each([new RangeError('x'), 'TypeError', undefined, null])('%s is no word of fetch', (error) => {
    expect(isRefusedByFetch(error, new URL('http://localhost/'), { body: 'x' })).toBe(false)
  })

  test.each([null, undefined])('a GET whose body is %s can be built', (body) => {
    expect(isRefusedByFetch(failure, new URL('http://localhost/'), { body } as RequestInit)).toBe(false)
  })

  test('a good request can, and its stream is not touched', () => {
    const body = new ReadableStream()
    const init = { method: 'POST', body, duplex: 'half', signal: AbortSignal.abort() }
    expect(isRefusedByFetch(failure, new URL('http://localhost/'), init)).toBe(false)
    expect(body.locked).toBe(false)
  })

  test.each([
    ['the port that the URL names', 'http://localhost:6000/', true],
    ['a port that a redirect led to', 'http://localhost/', false],
  ])('%s, since it is a blocked one', async (_, url, isRefused) => {
    const error: unknown = await fetch('http://localhost:6000/').catch((reason: unknown) => reason)
    expect(isRefusedByFetch(error, new URL(url), {})).toBe(isRefused)
  })
})

describe('discard', () => {
  test('cancels the body without waiting, and swallows its failure', async () => {
    const cancel = vi.fn<() => Promise<void>>().mockRejectedValue(new Error('gone'))
    discard(new Response(new ReadableStream({ cancel })))
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('leaves no body, and a body in use, alone', () => {
    discard(new Response(null))
    // React Native's responses have no `body`, or one that is no stream; a mock may resolve with nothing.
    for (const odd of [{}, { body: {} }, undefined]) discard(odd as Response)
    const cancel = vi.fn<() => void>()
    const used = new Response(new ReadableStream({ cancel }))
    used.body?.getReader()
    const cancelling = vi.spyOn(used.body as ReadableStream, 'cancel')
    discard(used)
    expect(cancelling).not.toHaveBeenCalled()
  })
})

describe('the headers of a response', () => {
  test('are its own', () => {
    const response = new Response(null, { headers: { etag: '"v1"' } })
    expect(headersOf(response)).toBe(response.headers)
  })

  test.each([[undefined], [null]])('of a mock that has %s there are none', (headers) => {
    expect([...headersOf({ headers } as unknown as Response)]).toEqual([])
  })

  test('of a mock may be a plain object, even with a header of such a name', () => {
    const mock = { headers: { get: 'x', etag: '"v1"' } } as unknown as Response
    expect(headersOf(mock).get('etag')).toBe('"v1"')
  })
})

describe('the body of a response', () => {
  test('is coming where there is one; a response of ours says so itself, and is not looked at', () => {
    expect([new Response('data'), new Response(null)].map(isComing)).toEqual([true, false])
    const ours = (coming: boolean): Response => Object.assign(new Response('data'), { [IS_COMING]: coming })
    expect([ours(true), ours(false)].map(isComing)).toEqual([true, false])
    const response = ours(false)
    expect(holdersOf(response)).toEqual([response])
  })

  test('can be held without the response', () => {
    const response = new Response('data')
    expect(holdersOf(response)).toEqual([response, response.body])
  })
})

describe('addresses', () => {
  test('what is no URL is undefined', () => {
    expect(parsedUrl('/path')).toBeUndefined()
    expect(parsedUrl('/path', 'http://api.test')?.href).toBe('http://api.test/path')
  })

  test('only http and https lead to an origin', () => {
    const addresses = [
      'HTTP://api.test/path',
      'https://api.test:443/',
      'http://',
      'x-http://api.test/',
      'urn:x',
    ]
    expect(addresses.map(originOf)).toEqual([
      'http://api.test',
      'https://api.test',
      undefined,
      undefined,
      undefined,
    ])
  })
})
