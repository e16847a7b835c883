import { describe, expect, test } from 'vitest'
import { readBody, snapshotBody, type RequestBody } from './body.ts'
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
