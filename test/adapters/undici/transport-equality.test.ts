/** The fast transport of `holdfast/undici` beside Node's own fetch: the same requests, the same answers, the same errors. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as zlib from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { transport } from '../../../src/adapters/undici/index.ts'
import { describeError, trace, USES, type Fetch } from '../../client/support/uses.ts'
import { expectNoUnhandledRejections } from '../../client/support/unhandled.ts'
import { listening } from '../../support/listening.ts'
import { versions } from './versions.ts'

expectNoUnhandledRejections()

const agents = versions.map(({ name, undici }) => ({ name, agent: new undici.Agent() }))
const transports = agents.map(({ name, agent }) => ({ name, fast: transport({ dispatcher: agent }) }))
afterAll(() => Promise.all(agents.map(({ agent }) => agent.destroy())))

test.each(USES)('sends and answers as fetch does: %s', async (_, make) => {
  const bare = await trace(globalThis.fetch, make)
  for (const { name, fast } of transports) expect(await trace(fast, make), name).toEqual(bare)
})

type Probe = (fetch: Fetch, url: string) => Promise<unknown>
type Served = readonly [name: string, listener: RequestListener, probe: Probe]

const read: Probe = async (fetch, url) => shown(await fetch(url))

async function shown(response: Response): Promise<unknown> {
  const { status, statusText, ok, redirected, type, url, headers } = response
  const body = await response.text().catch(describeError)
  const given = [...headers].filter(([name]) => name !== 'date')
  return { status, statusText, ok, redirected, type, url, given, cookies: headers.getSetCookie(), body }
}

const encoded =
  (encoding: string, body: Uint8Array | string): RequestListener =>
  (_request, response) => {
    response.setHeader('content-encoding', encoding)
    response.end(body)
  }

const moved =
  (location: string, status = 302): RequestListener =>
  ({ url }, response) => {
    if (url === '/') response.writeHead(status, { location }).end('moved')
    else response.end(url)
  }

const answer =
  (write: (response: ServerResponse, request: IncomingMessage) => void): RequestListener =>
  (request, response) =>
    write(response, request)

/** Leads on from `/0` until `/last`. */
const chain = (last: number): RequestListener =>
  answer((response, { url = '' }) => {
    const at = Number(url.slice(1))
    if (at === last) response.end(url)
    else response.writeHead(302, { location: `/${at + 1}` }).end()
  })

const hello = answer((response) => response.end('hello'))
const text = 'hello, '.repeat(1000)
const cut = answer((response) => {
  response.writeHead(200, { 'content-length': 100 })
  response.write('half', () => response.destroy())
})

/** Reads the body by each method in turn. */
const bodies: Probe = async (fetch, url) => {
  const blob = await (await fetch(url)).blob()
  return {
    text: await (await fetch(url)).text(),
    json: await (await fetch(url)).json().catch(({ name }: Error) => name),
    buffer: [...new Uint8Array(await (await fetch(url)).arrayBuffer())],
    blob: [blob.type, await blob.text()],
    stream: await new Response((await fetch(url)).body).text(),
  }
}

/** Everything that can be done to a body only once. */
const twice: Probe = async (fetch, url) => {
  const response = await fetch(url)
  const before = [response.bodyUsed, response.body?.locked]
  const first = await response.text()
  const [again, cloned] = [
    await response.json().catch(describeError),
    await (async () => response.clone().bodyUsed)().catch(({ name }: Error) => name),
  ]
  return [before, first, again, cloned, response.bodyUsed]
}

const cloned: Probe = async (fetch, url) => {
  const response = await fetch(url)
  const clone = response.clone()
  const copy = new Response(clone.clone().body, clone)
  return [await shown(clone), await shown(response), copy.status, [...copy.headers].length, await copy.text()]
}

const unread: Probe = async (fetch, url) => {
  const response = await fetch(url)
  const reader = response.body?.getReader()
  const locked = await response.text().catch(({ name }: Error) => name)
  await reader?.cancel()
  return [locked, response.bodyUsed]
}

const bytewise: Probe = async (fetch, url) => {
  const reader = (await fetch(url)).body?.getReader({ mode: 'byob' })
  const sizes: number[] = []
  for (;;) {
    const part = await reader?.read(new Uint8Array(3))
    sizes.push(part?.value?.byteLength ?? -1)
    if (part === undefined || part.done) return sizes
  }
}

const fixed: Probe = async (fetch, url) => {
  const { headers } = await fetch(url)
  const changes = [
    () => headers.set('a', 'b'),
    () => headers.append('a', 'b'),
    () => headers.delete('date'),
  ].map((change) => {
    try {
      return change()
    } catch (error) {
      return (error as Error).name
    }
  })
  return [changes, headers instanceof Headers, Object.prototype.toString.call(headers)]
}

const by =
  (init: RequestInit): Probe =>
  async (fetch, url) =>
    shown(await fetch(url, init))

const hasZstd = 'zstdCompressSync' in zlib
/** The fetch of Node 22 passes it on as it came. */
const fetchKnowsZstd = Number(process.versions.undici?.split('.')[0]) >= 7

const CASES: (readonly [name: string, listener: RequestListener, probe?: Probe])[] = [
  ['gzip', encoded('gzip', zlib.gzipSync(text))],
  ['x-gzip in capitals', encoded('X-GZIP', zlib.gzipSync(text))],
  ['deflate', encoded('deflate', zlib.deflateSync(text))],
  ['raw deflate', encoded('deflate', zlib.deflateRawSync(text))],
  ['an empty deflate', encoded('deflate', '')],
  ['br', encoded('br', zlib.brotliCompressSync(text))],
  ...(hasZstd && fetchKnowsZstd ? [['zstd', encoded('zstd', zlib.zstdCompressSync(text))] as const] : []),
  ['gzip within br', encoded('gzip, br', zlib.brotliCompressSync(zlib.gzipSync(text)))],
  ['an encoding that nobody knows', encoded('gzip, own', 'own')],
  ['identity', encoded('identity', 'as it is')],
  ['a gzip that is cut off', encoded('gzip', zlib.gzipSync(text).subarray(0, 40))],
  ['what is no gzip', encoded('gzip', 'no gzip'), async (fetch, url) => namesOf((await fetch(url)).text())],
  ['gzip as bytes', encoded('gzip', zlib.gzipSync('hello')), bodies],
  ['HEAD of gzip', encoded('gzip', zlib.gzipSync(text)), by({ method: 'HEAD' })],
  ['204', answer((response) => response.writeHead(204).end())],
  ['205', answer((response) => response.writeHead(205).end())],
  ['304', answer((response) => response.writeHead(304, { etag: 'a' }).end())],
  ['a status of its own', answer((response) => response.writeHead(799, 'Own words').end('own'))],
  ['without a reason', answer((response) => response.writeHead(200, '').end())],
  ['early hints', answer((response) => (response.writeProcessing(), response.end('hello')))],
  ['cookies', answer((response) => response.setHeader('set-cookie', ['a=1', 'b=2; path=/']).end())],
  ['one header twice', answer((response) => response.setHeader('x-a', ['1', '2']).end())],
  ['a header in latin 1', answer((response) => response.setHeader('x-a', 'grün').end())],
  ['chunks and trailers', answer((response) => (response.write('a'), response.addTrailers({ x: '1' }), response.end('b')))], // oxfmt-ignore
  ['chunks of one packet, streamed', answer((response) => (response.write('a'), response.write('b'), response.end('c'))), bodies], // oxfmt-ignore
  ['a body that is cut off', cut, async (fetch, url) => namesOf((await fetch(url)).text())],
  ['a body that is cut off, streamed', cut, async (fetch, url) => namesOf(new Response((await fetch(url)).body).text())], // oxfmt-ignore
  ['a connection that breaks', answer((response) => response.destroy()), (fetch, url) => namesOf(fetch(url))],
  ['a redirect to a path with umlauts', moved(Buffer.from('/grün').toString('latin1'))],
  ['a redirect to a relative path', moved('./other?a=b#own')],
  ['a redirect to nowhere', answer((response) => response.writeHead(302).end('stays'))],
  ['a redirect that is none', answer((response) => response.writeHead(304, { location: '/a' }).end())],
  ['a redirect to what is no URL', moved('http://[')],
  ['a redirect to another scheme', moved('ftp://127.0.0.1/')],
  ['a redirect with credentials', moved('http://a:b@127.0.0.1:1024/')],
  ['a redirect to a blocked port', moved('http://127.0.0.1:6000/')],
  ['redirects without end', answer((response) => response.writeHead(302, { location: '/' }).end())],
  ['twenty redirects', chain(20)],
  ['one more', chain(21)],
  ['a redirect that was not asked for', moved('/other'), by({ redirect: 'error' })],
  ['an init of null', hello, async (fetch, url) => shown(await fetch(url, null as unknown as undefined))],
  ['a redirect by hand', moved('/other'), by({ redirect: 'manual' })],
  ['each method of a body', hello, bodies],
  ['a byte order mark', answer((response) => response.end('\uFEFF{"a":1}')), bodies],
  ['what is no UTF-8', answer((response) => response.end(Buffer.from([0xe4, 0x80, 0xff, 0x41]))), bodies],
  ['a body with a type', answer((response) => response.setHeader('content-type', 'a/b').end('{"a":1}')), bodies], // oxfmt-ignore
  ['an empty body', answer((response) => response.end()), bodies],
  ['a body of many chunks', answer((response) => response.end(Buffer.alloc(300_000, 'x'))), bodies],
  ['a body that is read twice', hello, twice],
  ['no body that is read twice', answer((response) => response.writeHead(204).end()), twice],
  ['clones', hello, cloned],
  ['a body with a reader', hello, unread],
  ['a reader with a buffer of its own', hello, bytewise],
  ['headers that stay as they are', hello, fixed],
  ['a form', answer((response) => response.setHeader('content-type', 'application/x-www-form-urlencoded').end('a=1&b=2')), async (fetch, url) => [...(await (await fetch(url)).formData())]], // oxfmt-ignore
]

/** Names, since what undici says of a broken connection is not the same in all its versions. */
const namesOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(shownOrNot, ({ name, message }: Error) => [name, message])
const shownOrNot = (value: unknown): unknown => (value instanceof Response ? value.status : value)

describe('an answer is what it is by fetch', () => {
  test('but that zstd is decoded wherever Node can do it', async () => {
    const coded = hasZstd ? encoded('zstd', zlib.zstdCompressSync('hello')) : encoded('identity', 'hello')
    const server = await listening(createServer(coded))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    for (const { name, fast } of transports) expect(await (await fast(url)).text(), name).toBe('hello')
    server.closeAllConnections()
    server.close()
  })

  test('but that more than five encodings are refused by every Node, as by those that have learned to', async () => {
    const server = await listening(createServer(encoded('gzip, gzip, gzip, gzip, gzip, gzip', 'x')))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    for (const { name, fast } of transports)
      expect(await namesOf(fast(url)), name).toEqual(['TypeError', 'fetch failed'])
    server.closeAllConnections()
    server.close()
  })

  test.each(CASES.map(([name, listener, probe = read]): Served => [name, listener, probe]))(
    '%s',
    async (_, listener, probe) => {
      const server = await listening(createServer(listener))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
      try {
        const bare = await probe(globalThis.fetch, url).catch(describeError)
        for (const { name, fast } of transports)
          expect(await probe(fast, url).catch(describeError), name).toEqual(bare)
      } finally {
        server.closeAllConnections()
        server.close()
      }
    },
  )

  test('across origins, but for the key, which stays with its API', async () => {
    const seen: [boolean, Record<string, unknown>][] = []
    const note = (isOther: boolean, { headers: { host: _, ...headers } }: IncomingMessage): void =>
      void seen.push([isOther, headers])
    const other = await listening(createServer((request, response) => (note(true, request), response.end())))
    const away = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`
    const home = await listening(
      createServer((request, response) => {
        note(false, request)
        response.writeHead(307, { location: away }).end()
      }),
    )
    const url = `http://127.0.0.1:${(home.address() as AddressInfo).port}/`
    const headers = { authorization: 'a', cookie: 'b', 'x-c': 'd', 'idempotency-key': 'e' }
    const probe = async (fetch: Fetch): Promise<unknown> => {
      seen.length = 0
      const { type, redirected, url: last } = await fetch(url, { method: 'POST', body: 'x', headers })
      const requests = seen.map(([isOther, { 'idempotency-key': key, ...rest }]) => ({ isOther, key, rest }))
      return { type, redirected, last, requests }
    }
    const bare = (await probe(globalThis.fetch)) as { requests: { key?: string }[] }
    expect(bare.requests.map(({ key }) => key)).toEqual(['e', 'e'])
    delete bare.requests[1]?.key
    for (const { name, fast } of transports) expect(await probe(fast), name).toEqual(bare)
    home.close()
    other.close()
  })
})
