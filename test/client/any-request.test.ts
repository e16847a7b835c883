/** Whatever is asked for, by chance: what goes out, and what comes back, is what it is with the platform's fetch. */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFetch } from '../../src/index.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { stream, trace, type Fetch, type Init } from './support/uses.ts'

expectNoUnhandledRejections()

/** Made anew for each call: streams are used up, and what is changed afterwards must not matter. */
type Make<T> = () => T

const bodies: Readonly<Record<string, Make<unknown>>> = {
  none: () => undefined,
  null: () => null,
  text: () => 'zwölf',
  'an empty text': () => '',
  'search params': () => new URLSearchParams({ a: '1 2' }),
  'a blob': () => new Blob(['blob'], { type: 'text/css' }),
  'a blob without a type': () => new Blob(['blob']),
  bytes: () => new Uint8Array([1, 2, 255]).subarray(1),
  'a buffer': () => new Uint8Array([7, 8]).buffer,
  'a form': () => {
    const form = new FormData()
    form.append('a', 'b')
    form.append('file', new Blob(['content'], { type: 'text/css' }), 'a.css')
    return form
  },
  'a stream': stream,
  'a stream of Node': () => Readable.from([Buffer.from('chunk')]),
  'a number': () => 5,
  'an object': () => ({}),
}

const headers: Readonly<Record<string, Make<unknown>>> = {
  none: () => undefined,
  'an object': () => ({ 'X-One': '1', 'content-type': 'a/b' }),
  pairs: () => [
    ['x-one', '1'],
    ['X-One', '2'],
  ],
  Headers: () => new Headers({ accept: 'text/css', 'x-two': '' }),
  'a map': () => new Map([['x-map', '1']]),
  'a bad name': () => ({ 'not a name': '1' }),
  'a bad value': () => ({ 'x-one': 'line\nbreak' }),
  'no pairs': () => [['x-one']],
  null: () => null,
  'a text': () => 'x-one: 1',
}

const signals: Readonly<Record<string, Make<unknown>>> = {
  none: () => undefined,
  null: () => null,
  'a signal': () => new AbortController().signal,
  'no signal': () => ({}),
}

const from = (makes: Readonly<Record<string, unknown>>): fc.Arbitrary<string | undefined> =>
  fc.option(fc.constantFrom(...Object.keys(makes)), { nil: undefined, freq: 2 })

const asked = fc.record({
  as: fc.constantFrom('text', 'URL', 'Request', 'an object'),
  path: fc.constantFrom('/', '/a?b=%20c#d', '/redirect/302', '/redirect/307', '/redirect/303', '/empty'),
  requestMethod: fc.constantFrom(undefined, 'POST', 'PUT'),
  requestBody: fc.constantFrom(undefined, 'text', 'a stream', 'a form', 'a blob'),
  method: fc.constantFrom(
    undefined,
    'GET',
    'get',
    'HEAD',
    'POST',
    'post',
    'patch',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'BREW',
    'not one',
    'TRACE',
  ),
  body: from(bodies),
  headers: from(headers),
  signal: from(signals),
  redirect: fc.constantFrom(undefined, 'follow', 'manual', 'sideways'),
  cache: fc.constantFrom(undefined, undefined, 'no-store', 'only-if-cached'),
  mode: fc.constantFrom(undefined, undefined, 'cors', 'no-cors', 'navigate'),
  keepalive: fc.constantFrom(undefined, undefined, true),
  duplex: fc.constantFrom('half', 'half', undefined),
})

type Asked = typeof asked extends fc.Arbitrary<infer T> ? T : never

const made = (makes: Readonly<Record<string, Make<unknown>>>, which: string | undefined): unknown =>
  which === undefined ? undefined : makes[which]?.()

function initOf(one: Asked): Init {
  const { method, redirect, cache, mode, keepalive, duplex } = one
  const all = {
    method,
    body: made(bodies, one.body),
    headers: made(headers, one.headers),
    signal: made(signals, one.signal),
    redirect,
    cache,
    mode,
    keepalive,
    duplex,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

function inputOf({ as, path, requestMethod, requestBody }: Asked, origin: string): Parameters<Fetch>[0] {
  const url = origin + path
  if (as === 'URL') return new URL(url)
  if (as === 'an object') return { toString: () => url } as string
  if (as === 'text') return url
  const body = requestMethod === undefined ? undefined : made(bodies, requestBody)
  const given = { headers: { 'x-request': '1' }, method: requestMethod ?? 'GET', duplex: 'half' }
  return new Request(url, { ...given, ...(body !== undefined && { body }) } as Init)
}

const retry = { baseDelayMs: 1 }

const uses: ReadonlyMap<string, Fetch> = new Map<string, Fetch>([
  ['by default', createFetch({ retry })],
  ['without keys', createFetch({ retry, idempotency: false })],
  ['once', createFetch({ retry: false })],
])

interface Traced {
  readonly requests: readonly { readonly headers: Readonly<Record<string, string>> }[]
  readonly result: { readonly name?: string }
}

/**
 * What fails is perhaps tried again; of several mistakes either may be told, and a body may have been read before. A
 * stream that was read, to be sent again, has a length.
 */
function essenceOf(traced: unknown): unknown {
  const { result, ...seen } = traced as Traced
  const requests = seen.requests.map((request) => {
    const { 'content-length': _, 'transfer-encoding': __, ...headers } = request.headers
    return { ...request, headers }
  })
  if (result.name === 'TypeError') return { requests: requests.slice(0, 1), result: 'TypeError' }
  return { ...seen, requests, result }
}

const REQUESTS = Number(process.env['REQUESTS'] ?? 200)

test.each([...uses])(
  '%s, whatever is asked for is asked as by the platform',
  { timeout: 100 * REQUESTS },
  async (_, fetch) => {
    await fc.assert(
      fc.asyncProperty(asked, async (one) => {
        // What was read to be sent again can follow a redirect, and goes without CORS; by the platform a stream can't.
        const isForBytes = one.mode === 'no-cors' || one.path.startsWith('/redirect')
        fc.pre(!(one.requestBody === 'a stream' && isForBytes))
        const make = (origin: string): [Parameters<Fetch>[0], Init] => [inputOf(one, origin), initOf(one)]
        expect(essenceOf(await trace(fetch, make))).toEqual(essenceOf(await trace(globalThis.fetch, make)))
      }),
      { numRuns: REQUESTS },
    )
  },
)
