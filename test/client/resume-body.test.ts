/** `retry.resumeBody`: a download that breaks goes on where it broke, or ends with the error that broke it. */
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { EXTRAS } from '../../src/client/optional-policies.ts'
import { httpCache } from '../../src/cache/index.ts'
import {
  createFetch,
  outcomeOf,
  type FetchOptions,
  type HoldfastEvent,
  type Transport,
  type RetryInput,
} from '../../src/index.ts'
import {
  faultServer,
  hang,
  noBackoff,
  ok,
  reset,
  stall,
  status,
  times,
  truncate,
  type Fault,
  type FaultServerOptions,
} from '../../src/testing/index.ts'
import { deferred } from '../support/operations.ts'
import { testClock } from './support/clock.ts'
import { resource } from './support/resource.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, tick, until } from './support/wait.ts'

expectNoUnhandledRejections()

const TEXT = 'abcdefghij'
const URL_ = 'http://files.test/a'

/** What the tests have in common, whichever server or transport is behind it. */
function client({ retry, ...options }: FetchOptions = {}) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const fetch = createFetch({
    clock,
    random: () => 0.5,
    onEvent: (event) => events.push(event),
    retry: { resumeBody: true, ...retry },
    ...options,
  })
  const of = (...types: HoldfastEvent['type'][]): HoldfastEvent[] =>
    events.filter(({ type }) => types.includes(type))
  return { clock, events, fetch, of }
}

/** A real server that cuts what it sends. */
async function bench(
  faults: readonly (Fault | Fault[])[],
  options: FetchOptions = {},
  more: FaultServerOptions = { handler: resource(TEXT) },
) {
  const server = await faultServer({ faults, ...more })
  onTestFinished(() => server.close())
  const asked = (): unknown[] => server.requests.map(({ headers }) => [headers['range'], headers['if-range']])
  return {
    server,
    asked,
    arrived: (count: number) => until(() => server.requests.length === count),
    ...client(options),
  }
}

/** A cut drops what has not been read yet, so how much of `sent` has come is the reader's luck. */
const asFarAs = (sent: string) => expect.toSatisfy((text: string) => sent.startsWith(text)) as string

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text)
const broken = new TypeError('terminated')

/** A body that breaks after this much, or ends where it is told to. */
function body(
  text: string,
  end: 'breaks' | 'ends' | 'waits',
  cancel: ((reason: unknown) => void) | undefined = () => {},
  pulled = (): void => {},
) {
  const chunks = text.split('')
  return new ReadableStream<Uint8Array>(
    {
      pull(controller): void | Promise<void> {
        pulled()
        const chunk = chunks.shift()
        if (chunk !== undefined) controller.enqueue(bytesOf(chunk))
        else if (end === 'ends') controller.close()
        else if (end === 'breaks') controller.error(broken)
        else return new Promise(() => {})
      },
      cancel,
    },
    { highWaterMark: 0 },
  )
}

const WHOLE = { etag: '"v1"', 'content-length': '10' }
const REST = { etag: '"v1"', 'content-range': 'bytes 3-9/10' }

/** The first three bytes, then an error. */
const cut = (headers: Record<string, string> = WHOLE): Response =>
  new Response(body(TEXT.slice(0, 3), 'breaks'), { headers })

/** A transport that answers with these in turn. */
function scripted(...answers: (Response | Promise<Response>)[]) {
  const sent: Headers[] = []
  const transport: Transport = async (_, init) => {
    sent.push(new Headers(init?.headers))
    return answers.shift() ?? Promise.reject(new Error('asked once too often'))
  }
  return { transport, sent }
}

/** A server behind a transport that cuts each body after this much, the last number for ever. */
function cutEach(...bytes: number[]) {
  const file = resource(TEXT)
  const asked: (string | null)[] = []
  const transport: Transport = async (url, init) => {
    const response = file(new Request(url, init))
    const sent = (await response.text()).slice(0, bytes[Math.min(asked.length, bytes.length - 1)])
    asked.push(new Headers(init?.headers).get('range'))
    return new Response(body(sent, 'breaks'), response)
  }
  return { transport, asked }
}

/** Reads as far as it gets. */
async function readAll(response: Response): Promise<{ readonly text: string; readonly error: unknown }> {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  try {
    for (let reads = 0; reads < 1000; reads++) {
      const result = await reader?.read()
      if (result === undefined || result.done) return { text, error: undefined }
      text += decoder.decode(result.value)
    }
  } catch (error) {
    return { text, error }
  }
  throw new Error('the body does not end')
}

describe('a body that breaks', () => {
  test('goes on where it broke', async () => {
    const file = resource(TEXT)
    const socket = deferred<Socket>()
    const { server, fetch, clock, events, asked } = await bench(
      [],
      {},
      {
        async listener(request, response) {
          const answer = file(new Request(URL_, { headers: request.headers as HeadersInit }))
          response.writeHead(answer.status, Object.fromEntries(answer.headers))
          if (answer.status === 206) response.end(await answer.text())
          else response.write('abc', () => socket.resolve(request.socket))
        },
      },
    )
    const response = await fetch(`${server.url}/?secret`)
    events.length = 0
    const reader = response.body?.getReader()
    expect((await reader?.read())?.value).toEqual(bytesOf('abc'))
    ;(await socket.promise).destroy()
    reader?.releaseLock()
    expect(await finish(clock, readAll(response))).toEqual({ text: 'defghij', error: undefined })
    expect(asked()).toEqual([
      [undefined, undefined],
      ['bytes=3-', '"v1"'],
    ])
    const call = { id: expect.any(Number) as number, method: 'GET', url: `${server.url}/` }
    expect(events).toEqual([
      { type: 'retry', attempt: 1, delayMs: 1000, error: expect.any(TypeError) as TypeError, call },
      { type: 'attempt-start', attempt: 2, call },
      { type: 'attempt-end', attempt: 2, durationMs: 0, status: 206, call },
      { type: 'resume', attempt: 2, offsetBytes: 3, call },
    ])
  })

  test('goes on as often as it breaks, by the delays of the retries', async () => {
    const { transport, asked } = cutEach(3, 2, 0, 5)
    const { fetch, clock, of } = client({ fetch: transport, retry: { maxRetries: 3 } })
    const { text, error } = await finish(clock, readAll(await fetch(URL_)))
    // All that was announced has come before the last break: there is no rest to ask for.
    expect([text, error]).toEqual([TEXT, broken])
    expect(asked).toEqual([null, 'bytes=3-', 'bytes=5-', 'bytes=5-'])
    expect(clock.sleeps).toEqual([1000, 2000, 4000])
    expect(of('resume')).toMatchObject([
      { attempt: 2, offsetBytes: 3 },
      { attempt: 3, offsetBytes: 5 },
      { attempt: 4, offsetBytes: 5 },
    ])
    expect(clock.pending).toBe(0)
  })

  test('before its first byte', async () => {
    const { server, fetch, clock, asked } = await bench([truncate({ afterBytes: 0 })])
    expect(await finish(clock, (await fetch(server.url)).text())).toBe(TEXT)
    expect(asked()[1]).toEqual(['bytes=0-', '"v1"'])
  })

  test('for ever: ends with the error that broke it, after maxRetries', async () => {
    const { server, fetch, clock, of } = await bench([times(9, truncate({ afterBytes: 1 }))])
    const { text, error } = await finish(clock, readAll(await fetch(server.url)))
    expect('abcde').toContain(text)
    expect(error).toBeInstanceOf(TypeError)
    expect(server.requests).toHaveLength(5)
    expect(of('give-up')).toMatchObject([{ reason: 'exhausted', attempt: 5, error }])
  })

  test('the retries before the response count', async () => {
    const { server, fetch, clock } = await bench(
      [status(503), reset(), truncate({ afterBytes: 1 }), truncate({ afterBytes: 1 })],
      { retry: { maxRetries: 3 } },
    )
    const response = await finish(clock, fetch(server.url))
    expect(await finish(clock, readAll(response))).toMatchObject({
      text: asFarAs('ab'),
      error: expect.any(TypeError),
    })
    expect(clock.sleeps).toEqual([1000, 2000, 4000])
    expect(outcomeOf(response)).toMatchObject({ attempts: 3, delaysMs: [1000, 2000] })
  })

  test('that just ends too early has broken', async () => {
    const { transport } = scripted(
      new Response(body('abc', 'ends'), { headers: WHOLE }),
      new Response(body('defgh', 'ends'), { status: 206, headers: REST }),
      new Response('ij', { status: 206, headers: { ...REST, 'content-range': 'bytes 8-9/10' } }),
    )
    const { fetch, clock } = client({ fetch: transport })
    expect(await finish(clock, (await fetch(URL_)).text())).toBe(TEXT)
  })

  test('that ends too early for good is an error', async () => {
    const { transport } = scripted(new Response(body('abc', 'ends'), { headers: WHOLE }), new Response('new'))
    const { fetch, clock } = client({ fetch: transport })
    expect(await finish(clock, readAll(await fetch(URL_)))).toMatchObject({
      text: 'abc',
      error: { code: 'ERR_BODY_LENGTH', message: 'the body should have 10 bytes, got 3' },
    })
  })

  test('that goes on too long is an error, and none of what is too much is delivered', async () => {
    const cancel = vi.fn<(reason: unknown) => void>()
    const rest = new Response(body('defghijKL', 'waits', cancel), { status: 206, headers: REST })
    const { fetch, clock } = client({ fetch: scripted(cut(), rest).transport })
    expect(await finish(clock, readAll(await fetch(URL_)))).toMatchObject({
      text: TEXT,
      error: { code: 'ERR_BODY_LENGTH' },
    })
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('silent for longer than bodyIdleMs: it is cut off, and goes on', async () => {
    const { server, fetch, clock, of } = await bench([stall({ afterBytes: 4 }), stall({ afterBytes: 2 })], {
      timeout: { attemptMs: false, bodyIdleMs: 2000 },
    })
    const reader = (await fetch(server.url)).body?.getReader()
    const read = async (): Promise<string> => new TextDecoder().decode((await reader?.read())?.value)
    expect(await read()).toBe('abcd')
    for (const [requests, delayMs, text] of [
      [1, 1000, 'ef'],
      [2, 2000, 'ghij'],
    ] as const) {
      const next = read()
      await clock.advance(2000)
      await until(() => server.requests[requests - 1]?.outcome === 'cut')
      await until(() => clock.wakeInMs !== undefined)
      await clock.advance(delayMs)
      expect(await next).toBe(text)
    }
    expect((await reader?.read())?.done).toBe(true)
    expect(of('timeout', 'resume')).toMatchObject([
      { kind: 'body-idle' },
      { offsetBytes: 4 },
      { kind: 'body-idle' },
      { offsetBytes: 6 },
    ])
    expect(clock.pending).toBe(0)
  })

  test('silent for good: ends with the timeout', async () => {
    const { server, fetch, clock } = await bench([stall({ afterBytes: 4 })], {
      timeout: { bodyIdleMs: 2000 },
      retry: { maxRetries: 0 },
    })
    const reader = (await fetch(server.url)).body?.getReader()
    await reader?.read()
    const read = failureOf(reader?.read() ?? Promise.resolve())
    await clock.advance(2000)
    expect(await read).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
  })
})

describe('a response is the transport’s own', () => {
  const html = (headers: Record<string, string>, init: ResponseInit = {}): Response =>
    new Response(TEXT, { ...init, headers })

  test.each<[string, Response, RequestInit?]>([
    ['without a tag', html({ 'content-length': '10' })],
    ['with a weak tag', html({ ...WHOLE, etag: 'W/"v1"' })],
    ['with a tag that is none', html({ ...WHOLE, etag: 'v1' })],
    ['with two tags', html({ ...WHOLE, etag: '"v1", "v2"' })],
    ['of a time only', html({ 'content-length': '10', 'last-modified': 'Fri, 27 Nov 2026 20:00:00 GMT' })],
    ['without a length', html({ etag: '"v1"' })],
    ['with a length that is none', html({ ...WHOLE, 'content-length': '10, 10' })],
    ['that was encoded', html({ ...WHOLE, 'content-encoding': 'gzip' })],
    ['with trailers', html({ ...WHOLE, trailer: 'digest' })],
    ['of a server that knows no ranges', html({ ...WHOLE, 'accept-ranges': 'none' })],
    ['that is a part', html({ ...WHOLE, 'content-range': 'bytes 0-9/20' }, { status: 206 })],
    ['that is a failure', html(WHOLE, { status: 404 })],
    ['without a body', new Response(null, { headers: WHOLE })],
    ['to a HEAD', html(WHOLE), { method: 'HEAD' }],
    ['to a POST', html(WHOLE), { method: 'POST', body: 'x' }],
    ['to a request for a part', html(WHOLE), { headers: { range: 'bytes=0-' } }],
    ['to a conditional request', html(WHOLE), { headers: { 'If-None-Match': '"v0"' } }],
  ])('%s', async (_, response, init) => {
    const { fetch } = client({ fetch: scripted(response).transport })
    expect(await fetch(URL_, init)).toBe(response)
  })

  test('unless resumeBody is set', async () => {
    const response = cut()
    const fetch = createFetch({ fetch: scripted(response).transport })
    expect(await fetch(URL_)).toBe(response)
    expect(await readAll(response)).toEqual({ text: 'abc', error: broken })
  })

  test('or it is set for a single call', async () => {
    const response = html(WHOLE)
    const fetch = createFetch({ fetch: scripted(response).transport })
    const other = await fetch(URL_, { holdfast: { retry: { resumeBody: true } } })
    expect(other).not.toBe(response)
    expect(await other.text()).toBe(TEXT)
  })

  test('where the part that resumes can’t be loaded', async () => {
    const response = html(WHOLE)
    const { fetch } = client({ fetch: scripted(response).transport })
    // Where time is virtual all code is there at once.
    const { loaded } = EXTRAS
    EXTRAS.loaded = undefined
    const load = vi.spyOn(EXTRAS, 'load').mockRejectedValue(new Error('offline'))
    onTestFinished(() => {
      EXTRAS.loaded = loaded
      load.mockRestore()
    })
    expect(await fetch(URL_)).toBe(response)
  })

  test.each([
    ['may be encoded unseen', {}, true],
    [
      'shows codings, and that it has none',
      { 'access-control-expose-headers': 'ETag, Content-Encoding' },
      false,
    ],
    ['shows everything', { 'access-control-expose-headers': '*' }, false],
  ])('in a page, of a foreign origin that %s', async (_, headers, isOwn) => {
    vi.stubGlobal('location', new URL('http://page.test/'))
    onTestFinished(() => void vi.unstubAllGlobals())
    const response = html({ ...WHOLE, ...headers })
    Object.defineProperty(response, 'type', { value: 'cors' })
    const { fetch } = client({ fetch: scripted(response).transport })
    expect((await fetch(URL_)) === response).toBe(isOwn)
  })

  test('gzip over a real connection: the error comes through, and nothing more is asked', async () => {
    const zipped = gzipSync('x'.repeat(5000))
    const { server, fetch } = await bench(
      [truncate()],
      {},
      {
        handler: () => new Response(zipped, { headers: { etag: '"v1"', 'content-encoding': 'gzip' } }),
      },
    )
    expect(await failureOf((await fetch(server.url)).text())).toBeInstanceOf(TypeError)
    expect(server.requests).toHaveLength(1)
  })
})

describe('the rest', () => {
  const rest = (headers: Record<string, string>, code = 206): ResponseInit => ({ status: code, headers })

  test.each<[string, ResponseInit]>([
    ['a 200 of another version', rest({ ...WHOLE, etag: '"v2"' }, 200)],
    ['a 200 of the same version', rest(WHOLE, 200)],
    ['with the wrong status', rest(REST, 200)],
    ['of another version', rest({ ...REST, etag: '"v2"' })],
    ['of a tag that has become weak', rest({ ...REST, etag: 'W/"v1"' })],
    ['without a tag', rest({ 'content-range': 'bytes 3-9/10' })],
    ['from before where it broke', rest({ ...REST, 'content-range': 'bytes 2-9/10' })],
    ['from after where it broke', rest({ ...REST, 'content-range': 'bytes 4-9/10' })],
    ['that is not all of it', rest({ ...REST, 'content-range': 'bytes 3-8/10' })],
    ['of another length', rest({ ...REST, 'content-range': 'bytes 3-9/11' })],
    ['of a length that is not told to be the same', rest({ ...REST, 'content-range': 'bytes 3-10/*' })],
    ['of other units', rest({ ...REST, 'content-range': 'items 3-9/10' })],
    ['in several parts', rest({ etag: '"v1"', 'content-type': 'multipart/byteranges; boundary=x' })],
    ['in several parts, as if in one', rest({ ...REST, 'content-type': 'multipart/byteranges; boundary=x' })],
    ['with a body of another length', rest({ ...REST, 'content-length': '8' })],
    ['encoded', rest({ ...REST, 'content-encoding': 'gzip' })],
    ['not to be had', rest({ 'content-range': 'bytes */10' }, 416)],
    ['gone', rest({}, 404)],
  ])('%s: the body ends with its own error, and what came is let go', async (_, init) => {
    const cancel = vi.fn<(reason: unknown) => void>()
    const wrong = new Response(body('another', 'waits', cancel), init)
    const { fetch, clock, of } = client({ fetch: scripted(cut(), wrong).transport })
    expect(await finish(clock, readAll(await fetch(URL_)))).toEqual({ text: 'abc', error: broken })
    expect(cancel).toHaveBeenCalledOnce()
    expect(of('give-up', 'resume')).toMatchObject([
      { type: 'give-up', reason: 'final', attempt: 2, status: init.status },
    ])
  })

  test('without its length in all, but with its end', async () => {
    const unknown = new Response('defghij', rest({ ...REST, 'content-range': 'bytes 3-9/*' }))
    const { fetch, clock } = client({ fetch: scripted(cut(), unknown).transport })
    expect(await finish(clock, (await fetch(URL_)).text())).toBe(TEXT)
  })

  test.each([
    ['another file', 'http://mirror.test/b?sig=2', 'abc'],
    ['another server', 'http://other.test/a?sig=2', 'abc'],
    ['the same, signed anew', 'http://mirror.test/a?sig=2', TEXT],
  ])('after a redirect to %s', async (_, to, text) => {
    const from = (response: Response, url: string): Response =>
      Object.defineProperty(response, 'url', { value: url })
    const { transport } = scripted(
      from(cut(), 'http://mirror.test/a?sig=1'),
      from(new Response('defghij', rest(REST)), to),
    )
    const { fetch, clock } = client({ fetch: transport })
    expect((await finish(clock, readAll(await fetch(URL_)))).text).toBe(text)
  })

  test('of a file that has changed meanwhile, on a real server', async () => {
    let file = resource(TEXT)
    const { server, fetch, clock, asked } = await bench(
      [truncate({ afterBytes: 4 })],
      {},
      {
        handler: (request) => file(request),
      },
    )
    const response = await fetch(server.url)
    file = resource('ABCDEFGHIJ', '"v2"')
    expect(await finish(clock, readAll(response))).toMatchObject({
      text: asFarAs('abcd'),
      error: expect.any(TypeError),
    })
    expect(asked()).toHaveLength(2)
    await until(() => server.requests[1]?.outcome !== 'pending')
  })
})

describe('the request for the rest goes by the rules of retries', () => {
  test('failures are tried again, as Retry-After asks', async () => {
    const { server, fetch, clock, asked } = await bench([
      truncate({ afterBytes: 3 }),
      reset(),
      status(503, { retryAfter: 9 }),
    ])
    expect(await finish(clock, (await fetch(server.url)).text())).toBe(TEXT)
    expect(asked()[1]).toEqual([expect.stringMatching(/^bytes=[0-3]-$/), '"v1"'])
    expect(asked().slice(1)).toEqual(Array(3).fill(asked()[1]))
    expect(clock.sleeps).toEqual([1000, 2000, 9000 * 1.125])
  })

  test.each([
    ['exhausted', [status(503), status(503)], { maxRetries: 2 }],
    ['retry-after', [status(503, { retryAfter: 3600 })], {}],
    ['final', [status(503)], { shouldRetry: ({ response }: RetryInput) => response === undefined }],
  ])('a failure that ends them is given up once: %s', async (reason, failures, retry) => {
    const { server, fetch, clock, of } = await bench([truncate({ afterBytes: 3 }), ...failures], { retry })
    expect((await finish(clock, readAll(await fetch(server.url)))).error).toBeInstanceOf(TypeError)
    expect(of('give-up')).toMatchObject([{ reason, status: 503 }])
  })

  test('shouldRetry is asked about the break', async () => {
    const shouldRetry = vi.fn<() => boolean>(() => false)
    const { server, fetch, of } = await bench([truncate({ afterBytes: 3 })], { retry: { shouldRetry } })
    const response = await fetch(server.url)
    shouldRetry.mockClear()
    const { error } = await readAll(response)
    expect(shouldRetry.mock.calls).toEqual([
      [{ request: { method: 'GET', url: `${server.url}/` }, attempt: 1, error }],
    ])
    expect(server.requests).toHaveLength(1)
    expect(of('give-up')).toMatchObject([{ reason: 'final' }])
  })

  test('beforeAttempt sees its headers, and signs it', async () => {
    const seen: (string | null)[] = []
    const { server, fetch, clock } = await bench([truncate({ afterBytes: 3 })], {
      beforeAttempt({ headers, attempt, previous }) {
        seen.push(headers.get('range'), previous?.error instanceof TypeError ? 'after an error' : null)
        headers.set('authorization', `token ${attempt}`)
      },
    })
    expect(await finish(clock, (await fetch(server.url)).text())).toBe(TEXT)
    expect(seen).toEqual([null, null, expect.stringMatching(/^bytes=[0-3]-$/), 'after an error'])
    expect(server.requests.map(({ headers }) => headers['authorization'])).toEqual(['token 1', 'token 2'])
  })

  test('a policy stands around it', async () => {
    const statuses: number[] = []
    const { server, fetch, clock } = await bench([truncate({ afterBytes: 3 })], {
      policies: [
        {
          name: 'watch',
          wrap: (next) => async (context) => {
            const response = await next(context)
            statuses.push(response.status)
            return response
          },
        },
      ],
    })
    expect(await finish(clock, (await fetch(server.url)).text())).toBe(TEXT)
    expect(statuses).toEqual([200, 206])
  })

  test('it is paid from the retry budget, and repaid when the body has come to its end', async () => {
    const { transport } = scripted(
      cut(),
      new Response(body('de', 'breaks'), { status: 206, headers: REST }),
      new Response(body('fghij', 'ends'), {
        status: 206,
        headers: { ...REST, 'content-range': 'bytes 5-9/10' },
      }),
    )
    const budget = { perSuccess: 0, perMinute: 0 }
    const { fetch, clock } = client({ fetch: transport, retryBudget: budget })
    const reader = (await fetch(URL_)).body?.getReader()
    const tokens: number[] = []
    for (const _ of `${TEXT}.`) {
      if (reader !== undefined) await finish(clock, reader.read())
      tokens.push(...[...fetch.budgets].map((each) => each.tokens))
    }
    expect(tokens).toEqual([10, 10, 10, 9, 9, 8, 8, 8, 8, 8, 10])
  })

  test('bodies that break for good cost what their requests cost, and an empty budget asks no more', async () => {
    const { fetch, clock, of } = client({
      fetch: cutEach(1).transport,
      retryBudget: { perSuccess: 0, perMinute: 0, capacity: 5 },
    })
    const texts: string[] = []
    for (let call = 0; call < 3; call++) {
      texts.push((await finish(clock, readAll(await fetch(URL_)))).text)
    }
    expect(texts).toEqual(['abcde', 'ab', 'a'])
    expect(of('give-up')).toMatchObject([{ reason: 'exhausted' }, { reason: 'budget' }, { reason: 'budget' }])
  })

  test('while the circuit is open nothing is asked', async () => {
    const { server, fetch, clock } = await bench([truncate({ afterBytes: 3 })])
    const response = await fetch(server.url)
    fetch.circuits.get(server.url).isolate()
    expect(await finish(clock, readAll(response))).toMatchObject({
      text: asFarAs('abc'),
      error: expect.any(TypeError),
    })
    expect(server.requests).toHaveLength(1)
  })

  test('attemptMs ends one that hangs, and it is tried again', async () => {
    const { server, fetch, clock, arrived } = await bench([truncate({ afterBytes: 3 }), hang()])
    const text = (await fetch(server.url)).text()
    await until(() => clock.wakeInMs !== undefined)
    await clock.advance(1000)
    await arrived(2)
    await clock.advance(30_000)
    expect(await finish(clock, text)).toBe(TEXT)
  })

  test('totalMs is for the time without a response, all of it: none of the stream’s', async () => {
    const { transport } = scripted(
      new Response('', { status: 503 }),
      new Response(body('abc', 'breaks'), { headers: WHOLE }),
      new Response(body('de', 'breaks'), { status: 206, headers: REST }),
    )
    const { fetch, clock, of } = client({ fetch: transport, timeout: { totalMs: 5000 } })
    const response = await finish(clock, fetch(URL_))
    await clock.advance(3_600_000)
    // 1 s has gone, 2 s follow, and the next delay would be of 4 s.
    expect(await finish(clock, readAll(response))).toEqual({ text: 'abcde', error: broken })
    expect(clock.sleeps).toEqual([1000, 2000])
    expect(of('give-up')).toMatchObject([{ reason: 'deadline', attempt: 3 }])
  })

  test('totalMs ends one that hangs: the body ends with its own error', async () => {
    const { server, fetch, clock, arrived, of } = await bench([truncate({ afterBytes: 3 }), hang()], {
      timeout: { attemptMs: false, totalMs: 5000 },
    })
    const work = readAll(await fetch(server.url))
    await until(() => clock.wakeInMs !== undefined)
    await clock.advance(1000)
    await arrived(2)
    await clock.advance(4000)
    expect(await work).toMatchObject({ text: asFarAs('abc'), error: expect.any(TypeError) })
    expect(of('timeout')).toMatchObject([{ kind: 'total' }])
    await until(() => server.requests[1]?.outcome === 'cut')
    expect(clock.pending).toBe(0)
  })

  test('an abort of the transport’s own is no break', async () => {
    const aborted = new DOMException('by the transport', 'AbortError')
    const stream = new ReadableStream({ pull: (controller) => controller.error(aborted) })
    const { transport, sent } = scripted(new Response(stream, { headers: WHOLE }))
    const { fetch } = client({ fetch: transport })
    expect(await failureOf((await fetch(URL_)).text())).toBe(aborted)
    expect(sent).toHaveLength(1)
  })
})

describe('who leaves, is asked for no more', () => {
  const reason = new Error('enough')

  test.each(['in the body', 'in the delay', 'in the request for the rest', 'in the rest'] as const)(
    'aborted %s',
    async (when) => {
      const second = when === 'in the rest' ? stall({ afterBytes: 2 }) : hang()
      const { server, fetch, clock, arrived, of } = await bench([
        when === 'in the body' ? stall({ afterBytes: 3 }) : truncate({ afterBytes: 3 }),
        second,
      ])
      const controller = new AbortController()
      const work = readAll(await fetch(server.url, { signal: controller.signal }))
      if (when === 'in the body') await tick(20)
      else await until(() => clock.wakeInMs !== undefined)
      if (when.endsWith('rest')) {
        await clock.advance(1000)
        await arrived(2)
        await tick(20)
      }
      controller.abort(reason)
      const { text, error } = await work
      expect(error).toBe(reason)
      expect(TEXT.startsWith(text)).toBe(true)
      await until(() => server.requests.every(({ outcome }) => outcome !== 'pending'))
      await clock.advance(60_000)
      expect(server.requests).toHaveLength(when.endsWith('rest') ? 2 : 1)
      expect(of('retry')).toHaveLength(when === 'in the body' ? 0 : 1)
      expect(clock.pending).toBe(0)
    },
  )

  test.each(['in the body', 'in the delay', 'in the request for the rest', 'in the rest'] as const)(
    'cancelled %s',
    async (when) => {
      const [firstGone, restGone] = [vi.fn<() => void>(), vi.fn<() => void>()]
      const late = deferred<Response>()
      const rest = (): Response => new Response(body('de', 'waits', restGone), { status: 206, headers: REST })
      const { transport, sent } = scripted(
        when === 'in the body' ? new Response(body('abc', 'waits', firstGone), { headers: WHOLE }) : cut(),
        when === 'in the rest' ? rest() : late.promise,
      )
      const { fetch, clock } = client({ fetch: transport })
      const reader = (await fetch(URL_)).body?.getReader()
      for (const _ of 'abc') await reader?.read()
      const read = reader?.read()
      await clock.settle()
      if (when.endsWith('rest')) await clock.advance(1000)
      if (when === 'in the rest') {
        await read
        await reader?.read()
        void reader?.read()
      }
      await reader?.cancel(reason)
      expect(when === 'in the rest' ? undefined : await read).toEqual(
        when === 'in the rest' ? undefined : { done: true, value: undefined },
      )
      late.resolve(rest())
      await clock.advance(60_000)
      expect(sent).toHaveLength(when.endsWith('rest') ? 2 : 1)
      expect(firstGone).toHaveBeenCalledTimes(when === 'in the body' ? 1 : 0)
      expect(restGone).toHaveBeenCalledTimes(when.endsWith('rest') ? 1 : 0)
      expect(clock.pending).toBe(0)
    },
  )

  test('cancelled at whatever moment the rest arrives: it is let go', async () => {
    for (let turns = 0; turns < 60; turns++) {
      const gone = vi.fn<() => void>()
      const late = deferred<Response>()
      const { fetch, clock } = client({ fetch: scripted(cut(), late.promise).transport })
      const reader = (await fetch(URL_)).body?.getReader()
      for (const _ of 'abc') await reader?.read()
      void reader?.read()
      await clock.settle()
      await clock.advance(1000)
      late.resolve(new Response(body('de', 'waits', gone), { status: 206, headers: REST }))
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      await reader?.cancel(reason)
      await clock.settle()
      expect(gone, `after ${turns} turns`).toHaveBeenCalledOnce()
    }
  })

  test('cancelled: what a policy that knows no abort brings later is let go', async () => {
    const gone = vi.fn<() => void>()
    const held = deferred()
    const rest = new Response(body('de', 'waits', gone), { status: 206, headers: REST })
    const { fetch, clock } = client({
      fetch: scripted(cut(), rest).transport,
      timeout: false,
      policies: [
        {
          name: 'slow',
          wrap: (next) => async (context) => {
            const response = await next(context)
            if (response.status === 206) await held.promise
            return response
          },
        },
      ],
    })
    const reader = (await fetch(URL_)).body?.getReader()
    for (const _ of 'abc') await reader?.read()
    void reader?.read()
    await clock.settle()
    await clock.advance(1000)
    await reader?.cancel(reason)
    held.resolve()
    await clock.settle()
    expect(gone).toHaveBeenCalledOnce()
  })

  test('unread, it is cancelled as it was', async () => {
    const gone = vi.fn<(cause: unknown) => void>()
    const response = new Response(body('abc', 'waits', gone), { headers: WHOLE })
    const { fetch } = client({ fetch: scripted(response).transport })
    await (await fetch(URL_)).body?.cancel(reason)
    expect(gone).toHaveBeenCalledExactlyOnceWith(reason)
  })
})

describe('the response', () => {
  test('is otherwise the platform’s, and so is its clone', async () => {
    const file = resource(TEXT)
    const { server, fetch, clock } = await bench(
      [ok(), truncate({ afterBytes: 3 })],
      {},
      {
        handler(request) {
          if (request.url.endsWith('/a'))
            return new Response(null, { status: 302, headers: { location: '/b' } })
          return file(request)
        },
      },
    )
    const response = await fetch(`${server.url}/a`)
    const looks = { status: 200, url: `${server.url}/b`, redirected: true, type: 'basic' }
    expect(response).toMatchObject(looks)
    const clone = response.clone()
    expect(clone).toMatchObject(looks)
    expect(clone.clone()).toMatchObject(looks)
    expect(Object.fromEntries(clone.headers)).toEqual(Object.fromEntries(response.headers))
    const texts = Promise.all([response.text(), clone.text()])
    expect(await finish(clock, texts)).toEqual([TEXT, TEXT])
    // The rest was asked for once, at the URL that the caller gave: a redirect may be signed anew.
    expect(server.requests.map(({ path }) => path)).toEqual(['/a', '/b', '/a', '/b'])
  })

  test('is read into the reader’s own buffer', async () => {
    const { server, fetch, clock } = await bench([truncate({ afterBytes: 3 })])
    const reader = (await fetch(server.url)).body?.getReader({ mode: 'byob' })
    let text = ''
    for (let reads = 0; reads < 20; reads++) {
      const read = reader?.read(new Uint8Array(4)) ?? Promise.reject(new Error('no reader'))
      const { done, value } = await finish(clock, read)
      text += new TextDecoder().decode(value)
      if (done) break
    }
    expect(text).toBe(TEXT)
  })

  test('comes at the pace of its reader: nothing is read ahead', async () => {
    const pulled = vi.fn<() => void>()
    const counted = (text: string, init: ResponseInit): Response =>
      new Response(body(text, 'breaks', undefined, pulled), init)
    const { transport } = scripted(
      counted('abc', { headers: WHOLE }),
      counted('defghij', { status: 206, headers: REST }),
    )
    const { fetch, clock } = client({ fetch: transport })
    const reader = (await fetch(URL_)).body?.getReader()
    // The fourth read finds the break, and reads on behind it.
    for (const pulls of [1, 2, 3, 5, 6]) {
      if (reader !== undefined) await finish(clock, reader.read())
      await clock.settle()
      expect(pulled).toHaveBeenCalledTimes(pulls)
    }
    await reader?.cancel()
  })

  test('that several calls share is resumed once for all of them', async () => {
    const { server, fetch, clock } = await bench([truncate({ afterBytes: 3 })], {
      coalesce: true,
      timeout: { bodyIdleMs: 60_000 },
    })
    const responses = await Promise.all([fetch(server.url), fetch(server.url)])
    const texts = Promise.all(responses.map((response) => response.text()))
    expect(await finish(clock, texts)).toEqual([TEXT, TEXT])
    expect(server.requests).toHaveLength(2)
  })

  test('that several calls share goes on after a silence, for all of them', async () => {
    const { server, fetch, clock } = await bench([stall({ afterBytes: 4 })], {
      coalesce: true,
      timeout: { bodyIdleMs: 2000 },
    })
    const responses = await Promise.all([fetch(server.url), fetch(server.url)])
    const readers = responses.map((response) => response.body?.getReader())
    for (const reader of readers) await reader?.read()
    const reads = readers.map(async (reader) => (await reader?.read())?.value)
    await clock.advance(2000)
    await until(() => clock.wakeInMs !== undefined)
    await clock.advance(1000)
    const rest = bytesOf('efghij')
    expect(await Promise.all(reads)).toEqual([rest, rest])
    expect(server.requests).toHaveLength(2)
  })

  test('is stored whole, and validated by what is stored, not by ranges', async () => {
    const { server, fetch, clock } = await bench([truncate({ afterBytes: 3 })], { cache: httpCache() })
    expect(await finish(clock, (await fetch(server.url)).text())).toBe(TEXT)
    await tick(10)
    fetch.circuits.get(server.url).isolate()
    const stored = await fetch(server.url)
    expect(outcomeOf(stored)?.source).toBe('cache')
    expect(await stored.text()).toBe(TEXT)
  })
})

describe('whatever the server does', () => {
  /** How a request for the rest is answered, by a server that has this version by then. */
  const answer = fc.record({
    version: fc.integer({ min: 1, max: 2 }),
    kind: fc.constantFrom('right', 'right', 'whole', 'early', 'late', 'untold', 'failed'),
    bytes: fc.integer({ min: 0, max: 12 }),
    end: fc.constantFrom('breaks', 'ends'),
  })
  type Answer = typeof answer extends fc.Arbitrary<infer Value> ? Value : never

  const versions = ['', 'abcdefghijkl', 'ABCDEFGHIJKL']

  function respond({ version, kind, bytes, end }: Answer, asked: number | undefined): Response {
    const text = versions[version] ?? ''
    const etag = `"v${version}"`
    const serve = (from: number, init: ResponseInit): Response =>
      new Response(body(text.slice(from, from + bytes), end), init)
    if (asked === undefined || kind === 'whole')
      return serve(0, { headers: { etag, 'content-length': `${text.length}` } })
    if (kind === 'failed') return new Response(null, { status: 503 })
    const from = Math.max(0, asked + ({ early: -1, late: 1 }[kind as string] ?? 0))
    const headers = { etag: kind === 'untold' ? '' : etag, 'content-range': `bytes ${from}-11/12` }
    return serve(from, { status: 206, headers })
  }

  test('what is delivered is one version as far as it goes: all of it, or an error', async () => {
    const property = fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 6 }), async (answers) => {
      const left = [...answers]
      const transport: Transport = async (_, init) => {
        const range = new Headers(init?.headers).get('range')
        const next = left.shift()
        if (next === undefined) throw new TypeError('no server')
        return respond(next, range === null ? undefined : Number(/\d+/.exec(range)?.[0]))
      }
      const fetch = createFetch({
        ...noBackoff,
        retry: { resumeBody: true },
        timeout: false,
        fetch: transport,
      })
      const { text, error } = await readAll(await fetch(URL_))
      const version = versions[answers[0]?.version ?? 0] ?? ''
      expect(version.startsWith(text)).toBe(true)
      if (error === undefined) expect(text).toBe(version)
    })
    await fc.assert(property, { numRuns: 200 })
  })
})
