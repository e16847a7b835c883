/** The fast transport of `holdfast/undici` by itself and under `createFetch`, in every undici that this Node can load. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { createGzip } from 'node:zlib'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { transport } from '../../../src/adapters/undici/index.ts'
import { createFetch, outcomeOf } from '../../../src/index.ts'
import {
  endless,
  faultServer,
  hang,
  noBackoff,
  status,
  type Fault,
  type FaultServer,
} from '../../../src/testing/index.ts'
import { expectNoUnhandledRejections } from '../../client/support/unhandled.ts'
import { failureOf, tick, until } from '../../client/support/wait.ts'
import { startBackend } from '../../runtimes/backend.ts'
import { runCase } from '../../runtimes/cases/case.ts'
import { cases } from '../../runtimes/cases/index.ts'
import { worldAt } from '../../runtimes/world.ts'
import { listening } from '../../support/listening.ts'
import { listMade } from './support.ts'
import { versions, type UndiciModule } from './versions.ts'

expectNoUnhandledRejections()

type UndiciHandler = Parameters<Agent['dispatch']>[1]
type Agent = InstanceType<UndiciModule['Agent']>

function newAgent(undici: UndiciModule): Agent {
  const agent = new undici.Agent()
  onTestFinished(() => agent.destroy())
  return agent
}

async function failing(...faults: Fault[]): Promise<FaultServer> {
  const server = await faultServer({ faults, recordBodies: true })
  onTestFinished(() => server.close())
  return server
}

async function serving(listener: RequestListener): Promise<string> {
  const server = await listening(createServer(listener))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const sent = ({ requests }: FaultServer): string[] =>
  requests.map(({ body }) => Buffer.from(body ?? []).toString())

describe.each(versions)('$name', ({ undici }) => {
  test('carries a client: all its attempts, and what it tells', async () => {
    const api = await failing(status(503), status(500))
    const fetch = createFetch({ ...noBackoff, fetch: transport({ dispatcher: newAgent(undici) }) })
    const response = await fetch(`${api.url}/orders`, { method: 'POST', body: '{}' })
    expect(await response.json()).toEqual({ ok: true })
    expect(outcomeOf(response)?.attempts).toBe(3)
    expect(new Set(api.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
    expect(sent(api)).toEqual(['{}', '{}', '{}'])
  })

  test.each([
    ['another origin', 307],
    ['a GET', 303],
  ])('leaves a key behind on a redirect to %s, by whatever name', async (_, code) => {
    const keys: unknown[] = []
    const note: RequestListener = ({ headers }, response) => {
      keys.push(headers['x-request-key'])
      response.end()
    }
    const away = await serving(note)
    const home = await serving((request, response) => {
      if (request.url !== '/') return note(request, response)
      keys.push(request.headers['x-request-key'])
      return response.writeHead(code, { location: code === 303 ? '/there' : away }).end()
    })
    const fetch = createFetch({
      fetch: transport({ dispatcher: newAgent(undici) }),
      idempotency: { header: 'X-Request-Key' },
    })
    const response = await fetch(home, { method: 'POST', body: '{}' })
    expect([response.redirected, keys]).toEqual([true, [expect.any(String), undefined]])
  })

  test('makes no stream and no signal for a body that is read whole', async () => {
    const url = await serving((_request, response) => response.end('{"ok":true}'))
    const fetch = createFetch({ fetch: transport({ dispatcher: newAgent(undici) }) })
    const { signal } = new AbortController()
    const made = listMade('ReadableStream', 'AbortController')
    const response = await fetch(url, { signal })
    expect(await response.json()).toEqual({ ok: true })
    expect(made).toEqual([])
    await (await fetch(url, { signal })).body?.cancel()
    expect(made).toEqual(['ReadableStream'])
  })

  test('answers with a Response', async () => {
    const api = await failing()
    const response = await transport({ dispatcher: newAgent(undici) })(`${api.url}/a?b#c`)
    expect(response).toBeInstanceOf(Response)
    expect([response.constructor, response.url, response.type]).toEqual([Response, `${api.url}/a?b`, 'basic'])
    expect(new Response(response.body, response).headers.get('content-type')).toContain('json')
  })

  test('whose internals say that there are none, instead of an empty body', async () => {
    const api = await failing()
    const response = await transport({ dispatcher: newAgent(undici) })(api.url)
    const internal = async (): Promise<string> => Response.prototype.text.call(response)
    expect(await failureOf(internal())).toBeInstanceOf(TypeError)
    expect(() => Response.prototype.clone.call(response)).toThrow(TypeError)
    expect(await response.text()).toBe('{"ok":true}')
  })

  test('sends what the caller’s bytes were at the call', async () => {
    const api = await failing()
    const fetch = transport({ dispatcher: newAgent(undici) })
    const bytes = new TextEncoder().encode('--then--').subarray(2, 6)
    const words = new Uint8Array([110, 111, 119])
    const params = new URLSearchParams('a=1')
    const calls = [bytes, words.buffer, params].map((body) => fetch(api.url, { method: 'PUT', body }))
    bytes.fill(0)
    words.fill(0)
    params.set('a', '2')
    await Promise.all(calls)
    expect(sent(api).sort()).toEqual(['a=1', 'now', 'then'])
  })

  test('gives the rest to the full fetch, by the same dispatcher', async () => {
    const api = await failing()
    const agent = newAgent(undici)
    const dispatch = vi.spyOn(agent, 'dispatch')
    const fetch = transport({ dispatcher: agent })
    const body = new Blob(['streamed']).stream()
    const rest: RequestInit[] = [
      { cache: 'no-store' },
      { method: 'PUT', body, duplex: 'half' } as RequestInit,
      { headers: { 'if-none-match': '"a"' } },
    ]
    for (const init of rest) expect(await (await fetch(api.url, init)).json()).toEqual({ ok: true })
    expect(await (await fetch(new Request(api.url))).json()).toEqual({ ok: true })
    expect(await failureOf(fetch(api.url, { method: 'GET', body: 'none' }))).toBeInstanceOf(TypeError)
    expect(dispatch).toHaveBeenCalledTimes(4)
    expect(sent(api)).toContain('streamed')
    expect(api.requests[0]?.headers['pragma']).toBe('no-cache')
  })

  test('or to one that is given, and by the dispatcher of the call', async () => {
    const full = vi.fn<(url: string, init?: RequestInit) => Promise<Response>>(async () => new Response())
    const fetch = transport({ dispatcher: newAgent(undici), fetch: full })
    const own = { dispatch: () => false }
    await fetch('http://x.test/', { dispatcher: own } as RequestInit)
    await fetch(new Request('http://x.test/a', { cache: 'no-store' }))
    expect(full.mock.calls.map(([url]) => url)).toEqual(['http://x.test/', 'http://x.test/a'])
    expect(full.mock.calls[0]?.[1]).toMatchObject({ dispatcher: own })
    expect(full.mock.calls[1]?.[1]).toMatchObject({ cache: 'no-store', dispatcher: {} })
  })

  test('comes at the pace of its reader', async () => {
    const size = 32 * 1024 * 1024
    let written = 0
    const url = await serving((_request, response) => {
      const chunks = Array.from({ length: 1024 }, () => Buffer.alloc(size / 1024))
      pipeline(
        Readable.from(chunks).on('data', (chunk: Buffer) => (written += chunk.length)),
        response,
      ).catch(() => {})
    })
    const response = await transport({ dispatcher: newAgent(undici) })(url)
    let [before, unchanged] = [-1, 0]
    await until(() => {
      unchanged = written === before && written > 0 ? unchanged + 1 : 0
      before = written
      return unchanged === 50
    })
    expect(written).toBeLessThan(size / 2)
    expect((await response.arrayBuffer()).byteLength).toBe(size)
  })

  describe('an abort', () => {
    test.each(['before', 'meanwhile', 'after'])('%s has the caller’s own reason', async (when) => {
      const api = await failing(when === 'meanwhile' ? hang() : endless({ intervalMs: 2 }))
      const fetch = transport({ dispatcher: newAgent(undici) })
      const controller = new AbortController()
      const reason = { own: true }
      if (when === 'before') controller.abort(reason)
      const { signal } = controller
      const call = fetch(api.url, { signal })
      if (when === 'meanwhile') await until(() => api.requests.length === 1)
      const work = failureOf(when === 'after' ? (await call).text() : call)
      controller.abort(reason)
      expect(await work).toBe(reason)
      if (when === 'before') expect(api.requests).toHaveLength(0)
      else await until(() => api.requests.every(({ outcome }) => outcome === 'cut'))
    })

    test.each(['identity', 'gzip'])('reaches a reader that is idle: %s', async (encoding) => {
      const url = await serving((_request, response) => {
        response.writeHead(200, { 'content-encoding': encoding })
        const bytes = encoding === 'gzip' ? createGzip() : new PassThrough()
        bytes.pipe(response)
        bytes.write('x')
        if ('flush' in bytes) bytes.flush()
      })
      const controller = new AbortController()
      const { body } = await transport({ dispatcher: newAgent(undici) })(url, { signal: controller.signal })
      const reader = body?.getReader()
      await reader?.read()
      const closed = failureOf(reader?.closed ?? Promise.resolve())
      const reason = new Error('enough')
      controller.abort(reason)
      expect(await closed).toBe(reason)
    })

    test('is listened for once, however many calls there are', async () => {
      const api = await failing(...Array.from({ length: 20 }, hang))
      const fetch = transport({ dispatcher: newAgent(undici) })
      const controller = new AbortController()
      const { signal } = controller
      const calls = Array.from({ length: 20 }, () => failureOf(fetch(api.url, { signal })))
      expect(getEventListeners(signal, 'abort')).toHaveLength(1)
      controller.abort('left')
      expect(new Set(await Promise.all(calls))).toEqual(new Set(['left']))
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    })
  })

  describe('a body that nobody reads', () => {
    const size = 32 * 1024 * 1024
    let gc: () => void
    beforeAll(() => {
      setFlagsFromString('--expose-gc')
      gc = runInNewContext('gc') as () => void
    })

    /** An answer that is much longer than what is taken in before it is read. */
    async function long(): Promise<{ url: string; isClosed: () => boolean }> {
      let closed = false
      const url = await serving((_request, response) => {
        response.on('close', () => (closed = true))
        Readable.from(Array.from({ length: 1024 }, () => Buffer.alloc(size / 1024))).pipe(response)
      })
      return { url, isClosed: () => closed }
    }

    test.each([
      ['it', (): unknown => undefined],
      ['it or its stream', ({ body }: Response): unknown => body],
    ])('lets go of its connection when nobody has %s any more', async (_, look) => {
      const { url, isClosed } = await long()
      look(await transport({ dispatcher: newAgent(undici) })(url))
      await until(() => {
        gc()
        return isClosed()
      })
      expect(isClosed()).toBe(true)
    })

    test('is forgotten after it was read in part and cancelled', async () => {
      const { url } = await long()
      const fetch = transport({ dispatcher: newAgent(undici) })
      const begun = async (): Promise<WeakRef<Response>> => {
        const response = await fetch(url)
        const reader = response.body?.getReader()
        await reader?.read()
        await reader?.cancel()
        return new WeakRef(response)
      }
      const all = await Promise.all(Array.from({ length: 5 }, begun))
      const isHeld = (each: WeakRef<Response>): boolean => each.deref() !== undefined
      await until(() => {
        gc()
        return !all.some(isHeld)
      })
      expect(all.filter(isHeld)).toHaveLength(0)
    })

    test('waits for whoever has its stream', async () => {
      const { url } = await long()
      const { body } = await transport({ dispatcher: newAgent(undici) })(url)
      for (let round = 0; round < 5; round++) {
        gc()
        await tick(5)
      }
      let read = 0
      for await (const chunk of body as ReadableStream<Uint8Array>) read += chunk.byteLength
      expect(read).toBe(size)
    })
  })

  test('in the place of the global fetch, under a client, it does not come back to itself', async () => {
    const api = await failing(status(503))
    const before = globalThis.fetch
    onTestFinished(() => void (globalThis.fetch = before))
    const fast = transport({ dispatcher: newAgent(undici) })
    globalThis.fetch = createFetch({ ...noBackoff, fetch: fast })
    expect((await fetch(api.url, { cache: 'no-store' })).status).toBe(200)
    expect(api.requests).toHaveLength(2)
  })
})

describe('over a dispatcher that answers at once, in the words of undici 8', () => {
  const controller = { aborted: false, paused: false, reason: null, abort() {}, pause() {}, resume() {} }
  const dispatch = (_options: unknown, handler: UndiciHandler): boolean => {
    handler.onRequestStart?.(controller, {})
    handler.onResponseStart?.(controller, 200, {}, 'OK')
    handler.onResponseData?.(controller, Buffer.from('here'))
    handler.onResponseEnd?.(controller, {})
    return true
  }
  const fast = transport({ dispatcher: { dispatch } })

  test('a body that is here already needs no signal any more', async () => {
    const { signal } = new AbortController()
    for (const fetch of [fast, createFetch({ fetch: fast })]) {
      const response = await fetch('http://x.test/', { signal })
      expect(getEventListeners(signal, 'abort')).toEqual([])
      expect(await response.text()).toBe('here')
    }
  })

  test('the full fetch gets its answer too, whichever undici it is of', async () => {
    expect(await (await fast('http://x.test/', { cache: 'no-store' })).text()).toBe('here')
  })
})

describe('options', () => {
  const dispatcher = { dispatch: () => false }

  test.each([
    ['without a dispatcher', {}, 'transport.dispatcher should be a dispatcher of undici, with dispatch'],
    ['a dispatcher that is none', { dispatcher: {} }, 'transport.dispatcher should be a dispatcher'],
    ['one that nobody reads', { dispatcher, agent: 1 }, 'transport has no option "agent"'],
    ['a fetch that is none', { dispatcher, fetch: 1 }, 'transport.fetch should be a function, got 1'],
    ['a Holdfast fetch', { dispatcher, fetch: createFetch() }, 'retries belong to one layer'],
  ])('%s is refused', (_, options, message) => {
    expect(() => transport(options as never)).toThrow(message)
  })
})

describe('the suite for every runtime, over the fast transport', () => {
  const { undici } = versions.at(-1) as (typeof versions)[number]
  const agent = new undici.Agent()
  const before = globalThis.fetch
  let home: FaultServer
  let foreign: FaultServer
  beforeAll(async () => {
    home = await startBackend()
    foreign = await startBackend()
    globalThis.fetch = transport({ dispatcher: agent })
  })
  afterAll(async () => {
    globalThis.fetch = before
    await agent.destroy()
    await home.close()
    await foreign.close()
  })

  test.concurrent.each(cases)('$name', async (each) => {
    const world = worldAt({ home: home.url, foreign: foreign.url }, 'process')
    expect(await runCase(each, world)).toEqual({ name: each.name, result: 'passed' })
  })
})
