import { Readable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { isStream, isUsedUp, readBody, snapshotBody, type RequestBody } from './body.ts'
import type { BodyLike } from './fetch-types.ts'

const sent = async (body: RequestBody | undefined): Promise<string> => new Response(body?.next()).text()
const MIB = 1_048_576

describe('snapshotBody', () => {
  test.each<[string, BodyLike]>([
    ['a string', 'data'],
    ['a Blob', new Blob(['data'])],
    ['search parameters', new URLSearchParams({ data: '' })],
    ['an ArrayBuffer', new TextEncoder().encode('data').buffer],
    ['a view', new TextEncoder().encode('--data--').subarray(2, 6)],
  ])('%s is sent again and again', async (_, body) => {
    const snapshot = await snapshotBody(body)
    expect(snapshot.sentOnce).toBeUndefined()
    for (let attempt = 0; attempt < 3; attempt++) expect((await sent(snapshot)).replace('=', '')).toBe('data')
  })

  test('what the caller changes later is not sent', async () => {
    const bytes = new TextEncoder().encode('data')
    const parameters = new URLSearchParams({ a: '1' })
    const [ofBytes, ofBuffer, ofParameters] = [
      snapshotBody(bytes),
      snapshotBody(bytes.buffer),
      snapshotBody(parameters),
    ]
    bytes.fill(0)
    parameters.set('a', '2')
    expect(await sent(await ofBytes)).toBe('data')
    expect(await sent(await ofBuffer)).toBe('data')
    expect(await sent(await ofParameters)).toBe('a=1')
  })

  test('a buffer that a transport detached is still there for the next attempt', async () => {
    const snapshot = await snapshotBody(new TextEncoder().encode('data'))
    const { buffer } = snapshot.next() as Uint8Array<ArrayBuffer>
    structuredClone(buffer, { transfer: [buffer] })
    expect(buffer.byteLength).toBe(0)
    expect(await sent(snapshot)).toBe('data')
  })

  test('a form has one boundary for all attempts', async () => {
    const form = new FormData()
    form.set('field', 'value')
    form.set('file', new Blob(['content'], { type: 'text/plain' }), 'name.txt')
    const snapshot = await snapshotBody(form)
    const first = await sent(snapshot)
    expect(await sent(snapshot)).toBe(first)
    const boundary = /boundary=(.+)$/.exec(snapshot.contentType ?? '')?.[1]
    expect(first).toContain(`--${boundary}`)
    expect(first).toContain('content')
  })

  test.each<[string, unknown]>([
    ['a web stream', new ReadableStream()],
    ['an async iterable', (async function* () {})()],
    ['a Node stream', { pipe() {} }],
  ])('%s can only be sent once', async (_, body) => {
    expect((await snapshotBody(body as BodyLike)).sentOnce).toBe('stream')
  })
})

describe('isStream', () => {
  test.each<[string, unknown, boolean]>([
    [
      'a stream of another realm, or one that cannot be iterated',
      { [Symbol.toStringTag]: 'ReadableStream' },
      true,
    ],
    ['a plain object', {}, false],
    ['a string', 'text', false],
    ['null', null, false],
  ])('%s', (_, body, expected) => {
    expect(isStream(body)).toBe(expected)
  })
})

describe('isUsedUp', () => {
  test('a stream that was read is used up, even if it was let go since', async () => {
    const stream = new Blob(['data']).stream()
    expect(isUsedUp(stream)).toBe(false)
    const reader = stream.getReader()
    expect(isUsedUp(stream)).toBe(true)
    await reader.read()
    reader.releaseLock()
    expect(isUsedUp(stream)).toBe(true)
  })

  test('asking takes nothing from the stream', async () => {
    const stream = new Blob(['data']).stream()
    isUsedUp(stream)
    expect(await new Response(stream).text()).toBe('data')
  })

  test('what is no stream can be read again', () => {
    expect(['text', undefined, new Blob()].map(isUsedUp)).toEqual([false, false, false])
  })
})

describe('readBody', () => {
  const request = (body: BodyInit | null, init: RequestInit = {}): Request =>
    new Request('http://localhost/', { method: 'POST', body, ...init })

  test('keeps a body up to the limit', async () => {
    const original = request('x'.repeat(1000))
    const body = await readBody(original, 1000)
    expect(original.bodyUsed).toBe(true)
    expect(body?.sentOnce).toBeUndefined()
    expect(await sent(body)).toBe('x'.repeat(1000))
    expect(await sent(body)).toBe('x'.repeat(1000))
  })

  test('streams on, once, what is longer', async () => {
    const body = await readBody(request('x'.repeat(3 * MIB)), MIB)
    expect(body?.sentOnce).toBe('too-large')
    expect((await sent(body)).length).toBe(3 * MIB)
  })

  test('streams on in order: first what was read already, then the rest', async () => {
    const chunks = ['a', 'bc', 'd', 'ef'].map((text) => new TextEncoder().encode(text))
    const pull = (controller: ReadableStreamDefaultController): void => {
      const chunk = chunks.shift()
      if (chunk === undefined) controller.close()
      else controller.enqueue(chunk)
    }
    const init = { duplex: 'half' } as RequestInit
    const body = await readBody(request(new ReadableStream({ pull }, { highWaterMark: 0 }), init), 2)
    expect(chunks).toHaveLength(2)
    expect(await sent(body)).toBe('abcdef')
  })

  test('who gives up a longer body gives up its source, too', async () => {
    const cancel = vi.fn<(reason: unknown) => void>()
    const source = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(2)), cancel })
    const body = await readBody(request(source, { duplex: 'half' } as RequestInit), 1)
    const rest = body?.next() as ReadableStream
    await rest.cancel('enough')
    expect(cancel).toHaveBeenCalledExactlyOnceWith('enough')
  })

  test.each([
    ['without `Request.body`', undefined],
    ['whose `Request.body` is a stream of Node’s', Readable.from([])],
  ])('a platform %s reads it whole', async (_, value) => {
    const withoutBody = (original: Request): Request => Object.defineProperty(original, 'body', { value })
    const body = await readBody(withoutBody(request('data')), 1)
    expect(await sent(body)).toBe('data')
    expect(await sent(body)).toBe('data')
    // Whose bytes nobody takes away by sending them.
    expect(body?.next()).not.toBe(body?.next())
    expect(await readBody(withoutBody(request(null)), 1)).toBeUndefined()
  })

  test('an empty body is still a body, none is none', async () => {
    expect(await sent(await readBody(request(''), 10))).toBe('')
    expect(await readBody(request(null), 10)).toBeUndefined()
  })

  test('an error of the caller’s stream comes through', async () => {
    const broken = new ReadableStream({ pull: () => Promise.reject(new Error('disk')) })
    const init = { duplex: 'half' } as RequestInit
    await expect(readBody(request(broken, init), 10)).rejects.toThrow('disk')
  })
})
