import { Readable } from 'node:stream'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isBroken, isStream, isUsedUp, readBody, snapshotBody, telling, type RequestBody } from './body.ts'
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

  test('a form with a file of a class of its own is sent as it is', async () => {
    const file = { name: 'name.txt', [Symbol.toStringTag]: 'File' }
    const form = {
      *[Symbol.iterator]() {
        yield ['file', file]
      },
      [Symbol.toStringTag]: 'FormData',
    }
    const snapshot = await snapshotBody(form as unknown as FormData)
    expect(snapshot.next()).toBe(form)
    expect(snapshot.contentType).toBeUndefined()
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

describe('a body that breaks on its way', () => {
  const disk = new Error('disk')

  afterEach(() => void vi.restoreAllMocks())

  async function* breaking(): AsyncGenerator<string> {
    yield 'data'
    throw disk
  }

  test('an async iterable tells so, and gives what it gave before', async () => {
    const told = telling(breaking() as unknown as BodyLike) as unknown as AsyncIterable<string>
    const parts: string[] = []
    const read = async (): Promise<void> => {
      for await (const part of told) parts.push(part)
    }
    expect(isBroken(told, disk)).toBe(false)
    await expect(read()).rejects.toBe(disk)
    expect(parts).toEqual(['data'])
    expect(isBroken(told, disk)).toBe(true)
  })

  test('what tells by itself, or cannot break, is sent as it is', () => {
    const others = [
      'text',
      null,
      new Blob(),
      new ReadableStream(),
      Readable.from([]),
    ] as unknown as BodyLike[]
    for (const body of others) expect(telling(body)).toBe(body)
  })

  test('a stream of Node’s tells by what broke it, and may be destroyed by what it was sent to', () => {
    const body = new Readable().on('error', () => {}).destroy(disk)
    expect(isBroken(body, disk)).toBe(true)
    expect(isBroken(body, new TypeError('fetch failed', { cause: disk }))).toBe(true)
    for (const other of [new Error('reset'), undefined]) expect(isBroken(body, other)).toBe(false)
  })

  test('a web stream tells by the platform, as far as that can', () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(disk) })
    const bodies = [broken, new ReadableStream(), 'text', null, undefined]
    const areBroken = (): boolean[] => bodies.map((body) => isBroken(body, disk))
    expect(areBroken()).toEqual([true, false, false, false, false])
    for (const streams of [{}, undefined]) {
      vi.spyOn(process, 'getBuiltinModule').mockReturnValue(streams)
      expect(areBroken()).toEqual([false, false, false, false, false])
    }
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

  const read = (of: Request, maxBytes: number, headers = of.headers): Promise<RequestBody | undefined> =>
    readBody(of, maxBytes, headers)

  test('keeps a body up to the limit', async () => {
    const original = request('x'.repeat(1000))
    const body = await read(original, 1000)
    expect(original.bodyUsed).toBe(true)
    expect(body?.sentOnce).toBeUndefined()
    expect(await sent(body)).toBe('x'.repeat(1000))
    expect(await sent(body)).toBe('x'.repeat(1000))
  })

  test('whose length the caller states is a stream each time, since a length is stated once', async () => {
    const stated = await read(request('data', { headers: { 'content-length': '4' } }), 4)
    expect(stated?.next()).toBeInstanceOf(ReadableStream)
    for (let attempt = 0; attempt < 2; attempt++) expect(await sent(stated)).toBe('data')
  })

  test('is text where that is what was sent, to the byte', async () => {
    for (const text of ['data', '{"sku":"Anker, groß"}', '\uFEFFwith a mark', '']) {
      const body = await read(request(text), 100)
      expect(await sent(body)).toBe(await request(text).text())
      expect(typeof body?.next()).toBe(text === '' ? 'object' : 'string')
    }
    const marked = await read(request('\uFEFFwith a mark'), 100)
    expect(marked?.next()).toBe('\uFEFFwith a mark')
  })

  const type = { 'content-type': 'application/octet-stream' }
  const pieces = (): ReadableStream =>
    new ReadableStream({
      start(controller) {
        for (const byte of [65, 66]) controller.enqueue(Uint8Array.of(byte))
        controller.close()
      },
    })
  test.each<[string, () => Request, number[]]>([
    ['no text', () => request(Uint8Array.of(0xc3, 0x28), { headers: type }), [0xc3, 0x28]],
    ['without a type, which the platform would add to text', () => request(Uint8Array.of(65)), [65]],
    ['in pieces', () => request(pieces(), { headers: type, duplex: 'half' } as RequestInit), [65, 66]],
  ])('is a Blob where it is %s', async (_, make, bytes) => {
    const body = await read(make(), 100)
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(body?.next()).toBeInstanceOf(Blob)
      expect([...new Uint8Array(await new Response(body?.next()).arrayBuffer())]).toEqual(bytes)
    }
  })

  test('goes by the headers that it is sent with, not by its own', async () => {
    const untyped = await read(request('data'), 100, new Headers())
    expect(untyped?.next()).toBeInstanceOf(Blob)
  })

  test('streams on, once, what is longer', async () => {
    const body = await read(request('x'.repeat(3 * MIB)), MIB)
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
    const body = await read(request(new ReadableStream({ pull }, { highWaterMark: 0 }), init), 2)
    expect(chunks).toHaveLength(2)
    expect(await sent(body)).toBe('abcdef')
  })

  test('who gives up a longer body gives up its source, too', async () => {
    const cancel = vi.fn<(reason: unknown) => void>()
    const source = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(2)), cancel })
    const body = await read(request(source, { duplex: 'half' } as RequestInit), 1)
    const rest = body?.next() as ReadableStream
    await rest.cancel('enough')
    expect(cancel).toHaveBeenCalledExactlyOnceWith('enough')
  })

  test.each([
    ['without `Request.body`', undefined],
    ['whose `Request.body` is a stream of Node’s', Readable.from([])],
  ])('a platform %s reads it whole', async (_, value) => {
    const withoutBody = (original: Request): Request => Object.defineProperty(original, 'body', { value })
    const body = await read(withoutBody(request('data')), 1)
    expect(await sent(body)).toBe('data')
    expect(await sent(body)).toBe('data')
    // Whose bytes nobody takes away by sending them.
    expect(body?.next()).not.toBe(body?.next())
    expect(await read(withoutBody(request(null)), 1)).toBeUndefined()
  })

  test('where there is no body nothing is read: node-fetch 2 would call that used', async () => {
    const original = request(null)
    const reading = vi.spyOn(original, 'arrayBuffer')
    expect(await read(original, 1)).toBeUndefined()
    expect(reading).not.toHaveBeenCalled()
  })

  test('an empty body is still a body, none is none', async () => {
    expect(await sent(await read(request(''), 10))).toBe('')
    expect(await read(request(null), 10)).toBeUndefined()
  })

  test('an error of the caller’s stream comes through', async () => {
    const broken = new ReadableStream({ pull: () => Promise.reject(new Error('disk')) })
    const init = { duplex: 'half' } as RequestInit
    await expect(read(request(broken, init), 10)).rejects.toThrow('disk')
  })
})
