import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import * as undici from 'undici'
import * as undici6 from 'undici6'
import {
  createFetch,
  outcomeOf,
  type CallOptions,
  type HoldfastEvent,
  type Policy,
  type Transport,
} from '../../src/index.ts'
import { faultServer, reset, status, times, type FaultServer } from '../../src/testing/index.ts'
import { testClock } from './support/clock.ts'
import { deferred } from '../support/operations.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { failureOf, finish, tick } from './support/wait.ts'

type Init = RequestInit & { duplex?: 'half'; holdfast?: CallOptions }

const bytes = (...values: number[]): Uint8Array<ArrayBuffer> => new Uint8Array(values)

const sent = (server: FaultServer): string[] =>
  server.requests.map(({ body }) => Buffer.from(body ?? []).toString())

const typesSent = (server: FaultServer): (string | undefined)[] =>
  server.requests.map(({ headers }) => headers['content-type'])

/** A server that takes a request at the third try. */
const third = (): Promise<FaultServer> => faultServer({ recordBodies: true, faults: [status(503), reset()] })

function form(): FormData {
  const data = new FormData()
  data.set('a', '1')
  data.set('file', new Blob(['line 1\r\nline 2'], { type: 'text/css' }), 'ä "b".css')
  return data
}

function streamOf(text: string): ReadableStream<Uint8Array> {
  return new Blob([text]).stream()
}

describe('a body is the same on every attempt', () => {
  const view = new DataView(new ArrayBuffer(8), 2, 3)
  view.setUint8(0, 65)
  view.setUint16(1, 0x4242)
  test.each<[string, () => NonNullable<RequestInit['body']>, string, string | undefined]>([
    ['a string', () => 'zwölf', 'zwölf', 'text/plain;charset=UTF-8'],
    ['an empty string', () => '', '', 'text/plain;charset=UTF-8'],
    ['a Blob', () => new Blob(['blob'], { type: 'text/css' }), 'blob', 'text/css'],
    ['a Blob without a type', () => new Blob(['blob']), 'blob', undefined],
    ['an ArrayBuffer', () => bytes(65, 66).buffer, 'AB', undefined],
    ['a typed array', () => bytes(65, 66), 'AB', undefined],
    ['a part of a larger buffer', () => bytes(64, 65, 66, 67).subarray(1, 3), 'AB', undefined],
    ['a Buffer from the pool', () => Buffer.from('pooled'), 'pooled', undefined],
    ['a DataView', () => view, 'ABB', undefined],
    [
      'URLSearchParams',
      () => new URLSearchParams({ a: '1 2' }),
      'a=1+2',
      'application/x-www-form-urlencoded;charset=UTF-8',
    ],
  ])('%s', async (_, body, text, type) => {
    const clock = testClock()
    await using server = await third()
    const work = createFetch({ clock })(server.url, { method: 'POST', body: body() })
    expect((await finish(clock, work)).status).toBe(200)
    expect(sent(server)).toEqual([text, text, text])
    expect(typesSent(server)).toEqual([type, type, type])
    expect(server.requests.map(({ headers }) => headers['content-length'])).toEqual(
      Array.from({ length: 3 }, () => String(Buffer.byteLength(text))),
    )
  })

  test('a form, boundary included', async () => {
    const clock = testClock()
    await using server = await third()
    const work = createFetch({ clock })(server.url, { method: 'POST', body: form() })
    expect((await finish(clock, work)).status).toBe(200)
    const [first = '', second, last] = sent(server)
    expect(first).toMatch('name="a"')
    expect([second, last]).toEqual([first, first])
    const [type = '', ...types] = typesSent(server)
    expect(types).toEqual([type, type])
    const read = await new Response(first, { headers: { 'content-type': type } }).formData()
    expect(read.get('a')).toBe('1')
    const file = read.get('file') as File
    expect([file.name, file.type, await file.text()]).toEqual(['ä "b".css', 'text/css', 'line 1\r\nline 2'])
  })

  test.each([
    ['undici', undici],
    ['undici 6', undici6],
  ])('a form of %s, sent by its own fetch', async (_, { FormData: OwnForm, fetch: ownFetch }) => {
    const clock = testClock()
    await using server = await third()
    const own = new OwnForm()
    for (const [name, value] of form()) own.append(name, value)
    const fetch = createFetch({ clock, fetch: ownFetch as never })
    const init: Init = { method: 'POST', body: own as never }
    expect((await finish(clock, fetch(server.url, init))).status).toBe(200)
    const [first = '', ...others] = sent(server)
    expect(first).toMatch('line 1\r\nline 2')
    expect(first).toMatch('filename="ä %22b%22.css"')
    expect(others).toEqual([first, first])
    const [type = '', ...types] = typesSent(server)
    expect(types).toEqual([type, type])
    expect(first).toMatch(type.replace('multipart/form-data; boundary=', ''))
  })

  test.each([
    ['can’t be read', { [Symbol.toStringTag]: 'FormData', getParts: () => [] }],
    [
      'has a file of a class of its own',
      {
        [Symbol.toStringTag]: 'FormData',
        *[Symbol.iterator]() {
          yield ['text', 'value']
          yield ['file', { name: 'own.txt', [Symbol.toStringTag]: 'File' }]
        },
      },
    ],
  ])('a form that %s goes to its transport as it is, each time', async (_, own) => {
    const clock = testClock()
    const transport = vi.fn<Transport>(async () => new Response(null, { status: 503 }))
    await finish(
      clock,
      createFetch({ clock, fetch: transport })('http://x.test/', { method: 'POST', body: own as never }),
    )
    expect(transport).toHaveBeenCalledTimes(5)
    for (const [, init] of transport.mock.calls) expect(init?.body).toBe(own)
  })

  test('a form whose content type the caller gave', async () => {
    await using server = await faultServer({ recordBodies: true })
    const headers = { 'content-type': 'multipart/form-data; boundary=mine' }
    await createFetch()(server.url, { method: 'POST', body: form(), headers })
    expect(typesSent(server)).toEqual(['multipart/form-data; boundary=mine'])
  })

  test.each<[string, () => [NonNullable<RequestInit['body']>, () => void], string]>([
    [
      'a typed array',
      () => {
        const body = bytes(65, 66)
        return [body, () => void body.fill(88)]
      },
      'AB',
    ],
    [
      'an ArrayBuffer',
      () => {
        const body = bytes(65, 66)
        return [body.buffer, () => void body.fill(88)]
      },
      'AB',
    ],
    [
      'a DataView',
      () => {
        const body = bytes(65, 66)
        return [new DataView(body.buffer), () => void body.fill(88)]
      },
      'AB',
    ],
    [
      'URLSearchParams',
      () => {
        const body = new URLSearchParams({ a: '1' })
        return [body, () => body.set('a', '2')]
      },
      'a=1',
    ],
  ])('%s that the caller changes after the call', async (_, make, text) => {
    const clock = testClock()
    await using server = await third()
    const [body, change] = make()
    const work = createFetch({ clock })(server.url, { method: 'POST', body })
    change()
    await finish(clock, work)
    expect(sent(server)).toEqual([text, text, text])
  })

  test('a form that the caller changes after the call', async () => {
    const clock = testClock()
    await using server = await third()
    const body = new FormData()
    body.set('a', 'before')
    const work = createFetch({ clock })(server.url, { method: 'POST', body })
    body.set('a', 'after')
    await finish(clock, work)
    expect(sent(server).map((text) => /before|after/.exec(text)?.[0])).toEqual(['before', 'before', 'before'])
  })

  test('no body at all', async () => {
    const clock = testClock()
    await using server = await third()
    await finish(clock, createFetch({ clock })(server.url, { method: 'POST', body: null }))
    expect(sent(server)).toEqual(['', '', ''])
    expect(typesSent(server)).toEqual([undefined, undefined, undefined])
  })
})

test('a file that was changed is no failure of the service, and not sent again', async () => {
  await using folder = await temporaryFolder()
  await using server = await faultServer()
  const path = join(folder.path, 'report')
  await writeFile(path, 'as it was')
  const body = await openAsBlob(path)
  await writeFile(path, 'longer than it was')
  const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 } })
  const error = await failureOf(fetch(server.url, { method: 'PUT', body }))
  expect(error).toMatchObject({ cause: { name: 'NotReadableError' } })
  expect(outcomeOf(error)?.attempts).toBe(1)
  expect(fetch.circuits.get(server.url).state).toBe('closed')
})

describe('the body of a Request', () => {
  test('is sent again, and used up for the caller', async () => {
    const clock = testClock()
    await using server = await third()
    const request = new Request(server.url, { method: 'POST', body: 'hello' })
    expect((await finish(clock, createFetch({ clock })(request))).status).toBe(200)
    expect(request.bodyUsed).toBe(true)
    expect(sent(server)).toEqual(['hello', 'hello', 'hello'])
    expect(new Set(typesSent(server))).toEqual(new Set(['text/plain;charset=UTF-8']))
  })

  /** undici 7, once it is loaded, sends for Node's own fetch too, and takes no length twice. */
  async function sendWithLength(length: number) {
    const clock = testClock()
    const server = await third()
    onTestFinished(() => server.close())
    const headers = { 'content-length': `${length}` }
    const init: Init = { method: 'POST', duplex: 'half', body: streamOf('hello'), headers }
    return { server, work: finish(clock, createFetch({ clock })(new Request(server.url, init))) }
  }

  test('may be a stream of a length that the caller says', async () => {
    const { server, work } = await sendWithLength(5)
    expect((await work).status).toBe(200)
    expect(sent(server)).toEqual(['hello', 'hello', 'hello'])
    expect(server.requests.map(({ headers }) => headers['content-length'])).toEqual(['5', '5', '5'])
  })

  test('of another length than the caller says is not sent as a whole one', async () => {
    const { server, work } = await sendWithLength(6)
    await expect(work).rejects.toThrow('fetch failed')
    expect(server.requests.filter(({ outcome }) => outcome === 'answered')).toEqual([])
  })

  test('is used up without retries as well', async () => {
    await using server = await faultServer({ recordBodies: true })
    const request = new Request(server.url, { method: 'POST', body: 'hello' })
    await createFetch({ retry: false })(request)
    expect(request.bodyUsed).toBe(true)
    expect(sent(server)).toEqual(['hello'])
  })

  test('is left alone where init has another', async () => {
    const clock = testClock()
    await using server = await third()
    const request = new Request(server.url, {
      method: 'POST',
      body: 'hello',
      headers: { 'content-type': 'a/b' },
    })
    await finish(clock, createFetch({ clock })(request, { body: 'other' }))
    expect(sent(server)).toEqual(['other', 'other', 'other'])
    expect(typesSent(server)[0]).toBe('a/b')
  })

  test('keeps a form’s boundary', async () => {
    const clock = testClock()
    await using server = await third()
    const request = new Request(server.url, { method: 'POST', body: form() })
    await finish(clock, createFetch({ clock })(request))
    expect(new Set(sent(server)).size).toBe(1)
    const boundary = /boundary=(.+)$/.exec(typesSent(server)[2] ?? '')?.[1] ?? 'none'
    expect(sent(server)[2]).toMatch(boundary)
  })

  test.each([
    ['as long as maxBufferBytes: sent again', 10, 3, 200],
    ['longer: streamed, once', 11, 1, 503],
  ])('%s', async (_, length, requests, code) => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await third()
    const fetch = createFetch({
      clock,
      retry: { maxBufferBytes: 10 },
      onEvent: (event) => events.push(event),
    })
    const text = 'x'.repeat(length)
    const response = await finish(clock, fetch(new Request(server.url, { method: 'POST', body: text })))
    expect(response.status).toBe(code)
    expect(sent(server)).toEqual(Array.from({ length: requests }, () => text))
    const told = events.flatMap((event) => ('reason' in event ? [`${event.type} ${event.reason}`] : []))
    expect(told).toEqual(requests === 1 ? ['body-not-replayable too-large', 'give-up body'] : [])
  })

  test('longer than a mebibyte arrives whole, with the default', async () => {
    const clock = testClock()
    await using server = await third()
    const body = Buffer.alloc(1_048_577, 'abcdefg')
    const response = await finish(
      clock,
      createFetch({ clock })(new Request(server.url, { method: 'PUT', body })),
    )
    expect(response.status).toBe(503)
    expect(server.requests).toHaveLength(1)
    expect(Buffer.compare(Buffer.from(server.requests[0]?.body ?? []), body)).toBe(0)
  })
})

/** What is to outlive its page has to be no stream, to the platform's fetch. */
describe('a Request with keepalive is sent where its body has to be streamed', () => {
  const own: Transport = (input, init) => globalThis.fetch(input, init)
  test.each<[string, Parameters<typeof createFetch>[0]]>([
    ['since it is longer than maxBufferBytes', { retry: { maxBufferBytes: 3 } }],
    ['since it is not kept, by a transport of the user’s', { retry: false, fetch: own }],
  ])('%s', async (_, options) => {
    await using server = await faultServer({ recordBodies: true })
    const request = new Request(server.url, { method: 'POST', body: 'data', keepalive: true })
    const response = await createFetch(options)(request)
    expect([response.status, ...sent(server)]).toEqual([200, 'data'])
  })
})

describe('a stream', () => {
  const POST = { method: 'POST', duplex: 'half' } as const

  test.each<[string, () => Init]>([
    ['a web stream', () => ({ ...POST, body: streamOf('data') })],
    ['a Node stream', () => ({ ...POST, body: Readable.from([Buffer.from('data')]) as never })],
    [
      'a Node stream that is called a form',
      () => ({
        ...POST,
        body: Object.assign(Readable.from([Buffer.from('data')]), {
          [Symbol.toStringTag]: 'FormData',
        }) as never,
      }),
    ],
    [
      'an async iterable',
      () => ({
        ...POST,
        body: (async function* () {
          yield Buffer.from('data')
        })() as never,
      }),
    ],
  ])('is sent once: %s', async (_, init) => {
    const clock = testClock()
    const events: HoldfastEvent[] = []
    await using server = await faultServer({ recordBodies: true, faults: [times(3, status(503))] })
    const fetch = createFetch({ clock, onEvent: (event) => events.push(event) })
    const response = await finish(clock, fetch(server.url, init()))
    expect(response.status).toBe(503)
    expect(await response.text()).toMatch('503')
    expect(sent(server)).toEqual(['data'])
    expect(clock.sleeps).toEqual([])
    const told = events.flatMap((event) => ('reason' in event ? [`${event.type} ${event.reason}`] : []))
    expect(told).toEqual(['body-not-replayable stream', 'give-up body'])
  })

  test('is sent once though shouldRetry says yes', async () => {
    const clock = testClock()
    await using server = await faultServer({ recordBodies: true, faults: [times(3, reset())] })
    const fetch = createFetch({ clock, retry: { shouldRetry: () => true } })
    const init: Init = { ...POST, body: streamOf('data') }
    expect(await finish(clock, failureOf(fetch(server.url, init)))).toBeInstanceOf(TypeError)
    expect(server.requests).toHaveLength(1)
  })

  test('that arrives whole is an ordinary success', async () => {
    await using server = await faultServer({ recordBodies: true })
    const init: Init = { ...POST, body: streamOf('data') }
    expect((await createFetch()(server.url, init)).status).toBe(200)
    expect(sent(server)).toEqual(['data'])
  })
})

describe('holdfast.body', () => {
  test('makes a stream for each attempt', async () => {
    const clock = testClock()
    let made = 0
    await using server = await third()
    const holdfast = { body: () => streamOf(`data ${++made}`) }
    const init: Init = { method: 'POST', holdfast }
    const response = await finish(clock, createFetch({ clock })(server.url, init))
    expect(response.status).toBe(200)
    expect(sent(server)).toEqual(['data 1', 'data 2', 'data 3'])
  })

  test('stands over the body of init', async () => {
    await using server = await faultServer({ recordBodies: true })
    await createFetch()(server.url, { method: 'POST', body: 'init', holdfast: { body: () => 'factory' } })
    expect(sent(server)).toEqual(['factory'])
  })

  test('works without retries', async () => {
    await using server = await faultServer({ recordBodies: true })
    await createFetch({ retry: false })(server.url, {
      method: 'POST',
      holdfast: { body: () => streamOf('x') },
    })
    expect(sent(server)).toEqual(['x'])
  })

  test.each(['throws', 'outlives its call'])('is not asked for where beforeAttempt %s', async (how) => {
    const hook = deferred()
    const controller = new AbortController()
    const body = vi.fn<() => ReadableStream>(() => streamOf('left open'))
    const fetch = createFetch({ fetch: async () => new Response(), beforeAttempt: () => hook.promise })
    const work = failureOf(
      fetch('http://x.test/', { method: 'PUT', signal: controller.signal, holdfast: { body } }),
    )
    if (how === 'throws') hook.reject('no token')
    else controller.abort('left')
    await work
    hook.resolve()
    await tick()
    expect(body).not.toHaveBeenCalled()
  })

  test('is not asked for once a policy has let the call end', async () => {
    const gate = deferred()
    const controller = new AbortController()
    const body = vi.fn<() => ReadableStream>(() => streamOf('left open'))
    const holding: Policy<Response> = {
      name: 'holding',
      wrap: (next) => async (context) => {
        await gate.promise
        return next(context)
      },
    }
    const fetch = createFetch({ fetch: async () => new Response(), policies: [holding] })
    const init: Init = { method: 'PUT', signal: controller.signal, holdfast: { body } }
    const work = failureOf(fetch('http://x.test/', init))
    controller.abort('left')
    await work
    gate.resolve()
    await tick()
    expect(body).not.toHaveBeenCalled()
  })

  test('that throws is the caller’s own error: no retry, no failure of the service', async () => {
    const bug = new TypeError('bug')
    await using server = await faultServer()
    const fetch = createFetch({ circuitBreaker: { minimumCalls: 1 } })
    const body = (): never => {
      throw bug
    }
    const error = await failureOf(fetch(server.url, { method: 'POST', holdfast: { body } }))
    expect(error).toBe(bug)
    expect(server.requests).toHaveLength(0)
    expect(fetch.circuits.get(server.url).state).toBe('closed')
    expect(outcomeOf(error)?.uncertain).toBe(false)
  })
})
