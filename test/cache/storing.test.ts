import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { httpCache, type CacheEntry, type CacheStore, type HttpCacheOptions } from '../../src/cache/index.ts'
import { createFetch, isHoldfastError } from '../../src/index.ts'
import { expectNoUnhandledRejections } from '../client/support/unhandled.ts'
import { failureOf, until } from '../client/support/wait.ts'
import { deferred } from '../support/operations.ts'
import { answer, bench, MapStore } from './support.ts'

expectNoUnhandledRejections()

/** A body that comes piece by piece, as the test says. */
function pieces() {
  let controller!: ReadableStreamDefaultController<Uint8Array>
  const cancel = vi.fn<() => void>()
  const stream = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own), cancel })
  const push = (text: string): void => controller.enqueue(new TextEncoder().encode(text))
  return {
    stream,
    push,
    cancel,
    end: () => controller.close(),
    fail: (error: unknown) => controller.error(error),
  }
}

const streamed = async (cache: HttpCacheOptions = {}) => {
  const body = pieces()
  const b = await bench({ cache })
  const fetch = createFetch({ ...b.options, fetch: async () => new Response(body.stream) })
  return { ...b, body, fetch }
}

describe('on workers, whose requests end with all that they still do', () => {
  const onWorkers = (): void => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
    onTestFinished(() => void vi.unstubAllGlobals())
  }

  /** A store that sets what it is given when the test says so. */
  function slowStore() {
    const inner = new MapStore()
    const sets: (() => void)[] = []
    const store: CacheStore = {
      get: (key) => inner.get(key),
      delete: (key) => inner.delete(key),
      clear: () => inner.clear(),
      set: (key, entry, ttlMs) => {
        const turn = deferred()
        sets.push(() => turn.resolve())
        return turn.promise.then(() => inner.set(key, entry, ttlMs))
      },
    }
    return { inner, sets, store }
  }

  test('the end of a body waits until it is stored', async () => {
    onWorkers()
    const { sets, store, inner } = slowStore()
    const { fetch, url, down } = await bench({ cache: { store } })
    let isRead = false
    const reading = fetch(url('/a'))
      .then((response) => response.text())
      .finally(() => (isRead = true))
    for (let set = 0; set < 2; set++) {
      await until(() => sets.length > set)
      expect(isRead).toBe(false)
      sets[set]?.()
    }
    expect(await reading).toBe('fresh')
    expect(inner.responses).toHaveLength(1)
    down()
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
  })

  test('a call that fails does not wait for what another one was storing when it ended', async () => {
    onWorkers()
    const { sets, store } = slowStore()
    const { fetch, url, down } = await bench({ cache: { store } })
    const ended = fetch(url('/a')).then((response) => response.text())
    await until(() => sets.length > 0)
    down()
    expect((await fetch(url('/a'))).status).toBe(503)
    sets[0]?.()
    await until(() => sets.length > 1)
    sets[1]?.()
    await ended
  })
})

describe('storing never delays the caller', () => {
  test('each piece is passed on as it comes', async () => {
    const { fetch, url, body, stored } = await streamed()
    const reader = (await fetch(url('/a'))).body?.getReader()
    body.push('one')
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('one')
    body.push('two')
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('two')
    body.end()
    expect((await reader?.read())?.done).toBe(true)
    await stored(1)
  })

  test('nothing is read ahead of the caller', async () => {
    const pull = vi.fn<(controller: ReadableStreamDefaultController<Uint8Array>) => void>((controller) =>
      controller.enqueue(new Uint8Array(10)),
    )
    const b = await bench()
    const stream = new ReadableStream({ pull }, { highWaterMark: 0 })
    const fetch = createFetch({ ...b.options, fetch: async () => new Response(stream) })
    const response = await fetch(b.url('/a'))
    await b.clock.settle()
    expect(pull).not.toHaveBeenCalled()
    await response.body?.getReader().read()
    await b.clock.settle()
    expect(pull).toHaveBeenCalledOnce()
  })

  test('a store that takes its time holds up no body', async () => {
    const set = deferred()
    const store: CacheStore = Object.assign(new MapStore(), { set: () => set.promise })
    const b = await bench({ cache: { store } })
    expect(await (await b.fetch(b.url('/a'))).text()).toBe('fresh')
    set.resolve()
  })

  test('a reader with its own buffer works as it does without a cache', async () => {
    const { fetch, url, stored, down, store } = await bench()
    const response = await fetch(url('/a'))
    const reader = response.body?.getReader({ mode: 'byob' })
    let text = ''
    for (let reads = 0; reads < 10; reads++) {
      const { done, value } = (await reader?.read(new Uint8Array(2))) ?? {}
      text += new TextDecoder().decode(value)
      if (done === true) break
    }
    expect(text).toBe('fresh')
    await stored(1)
    down()
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
    expect(store.responses).toHaveLength(1)
  })

  test('the response is the origin’s in all that can be seen', async () => {
    const { fetch, url, origin } = await bench()
    origin.answer = () =>
      new Response('x', {
        status: 203,
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
      })
    const response = await fetch(url('/a'))
    const bare = await globalThis.fetch(url('/a'))
    for (const name of ['status', 'statusText', 'url', 'redirected', 'type', 'ok'] as const)
      expect(response[name], name).toBe(bare[name])
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(await response.clone().text()).toBe('x')
  })
})

describe('never stored', () => {
  const afterwards = async ({ passed, store }: Awaited<ReturnType<typeof streamed>>) => {
    await passed()
    return store.responses.length
  }

  test('what nobody reads to its end', async () => {
    const b = await streamed()
    await b.fetch(b.url('/a'))
    b.body.push('one')
    expect(await afterwards(b)).toBe(0)
  })

  test('a body that the caller cancels, and its source is cancelled', async () => {
    const b = await streamed()
    const response = await b.fetch(b.url('/a'))
    b.body.push('one')
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.cancel()
    expect(b.body.cancel).toHaveBeenCalledOnce()
    expect(await afterwards(b)).toBe(0)
  })

  test('one that is cancelled while its next piece is waited for', async () => {
    const b = await streamed()
    const reader = (await b.fetch(b.url('/a'))).body?.getReader()
    b.body.push('half')
    await reader?.read()
    const waiting = reader?.read()
    await b.passed()
    await reader?.cancel()
    expect((await waiting)?.done).toBe(true)
    expect(await afterwards(b)).toBe(0)
  })

  test('one that is cancelled unread', async () => {
    const b = await streamed()
    await (await b.fetch(b.url('/a'))).body?.cancel()
    expect(b.body.cancel).toHaveBeenCalledOnce()
    expect(await afterwards(b)).toBe(0)
  })

  test('a body that breaks', async () => {
    const b = await streamed()
    const response = await b.fetch(b.url('/a'))
    b.body.push('one')
    const broken = new Error('broken')
    b.body.fail(broken)
    expect(await failureOf(response.text())).toBe(broken)
    expect(await afterwards(b)).toBe(0)
  })

  test('a body that an abort ends', async () => {
    const b = await bench()
    b.origin.answer = () => new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(9)) }))
    const controller = new AbortController()
    const response = await b.fetch(b.url('/a'), { signal: controller.signal })
    const reader = response.body?.getReader()
    await reader?.read()
    const reason = new Error('mine')
    controller.abort(reason)
    const drain = async () => {
      for (let reads = 0; reads < 1000; reads++) await reader?.read()
    }
    expect(await failureOf(drain())).toBe(reason)
    await b.passed()
    expect(b.store.responses).toEqual([])
  })

  test('a body over maxEntryBytes: it is passed on whole', async () => {
    const b = await streamed({ maxEntryBytes: 5 })
    const work = b.fetch(b.url('/a')).then((response) => response.text())
    b.body.push('123')
    b.body.push('456')
    b.body.push('789')
    b.body.end()
    expect(await work).toBe('123456789')
    expect(await afterwards(b)).toBe(0)
  })

  test('one that says beforehand how long it is: it is not even copied', async () => {
    const b = await bench({ cache: { maxEntryBytes: 5 } })
    const given = new Response('123456', { headers: { 'content-length': '6' } })
    const fetch = createFetch({ ...b.options, fetch: async () => given })
    expect(await fetch(b.url('/a'))).toBe(given)
  })

  test('one of just maxEntryBytes is', async () => {
    const b = await bench({ cache: { maxEntryBytes: 5 } })
    expect(await b.warm('/a')).toBe('fresh')
  })
})

describe('at once', () => {
  test('many requests for one URL: one of their answers is stored, whole', async () => {
    const b = await bench()
    let count = 0
    b.origin.answer = () => new Response(`answer ${++count}`, { headers: { 'cache-control': 'max-age=60' } })
    const texts = await Promise.all(
      Array.from({ length: 20 }, async () => (await b.fetch(b.url('/a'))).text()),
    )
    await b.stored(20)
    expect(b.store.responses).toHaveLength(1)
    b.down()
    expect(texts).toContain(await (await b.fetch(b.url('/a'))).text())
  })

  test('many variants of one URL: all are stored', async () => {
    const b = await bench()
    b.origin.answer = ({ headers }) => new Response(headers.get('accept'), { headers: { vary: 'accept' } })
    const kinds = Array.from({ length: 10 }, (_, index) => `text/x-${index}`)
    const get = async (accept: string) => (await b.fetch(b.url('/a'), { headers: { accept } })).text()
    await Promise.all(kinds.map((kind) => get(kind)))
    await b.stored(10)
    b.down()
    expect(await Promise.all(kinds.map((kind) => get(kind)))).toEqual(kinds)
  })

  test('several clients may share a cache', async () => {
    const b = await bench()
    await b.warm('/a')
    b.down()
    const other = createFetch({ ...b.options })
    expect(await (await other(b.url('/a'))).text()).toBe('fresh')
    expect(await (await b.fetch.with({ timeout: false })(b.url('/a'))).text()).toBe('fresh')
  })
})

describe('a write', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE'])(
    '%s makes what is stored invalid',
    async (method) => {
      const { warm, down, fetch, url } = await bench()
      await warm('/a')
      await warm('/b')
      await fetch(url('/a#x'), { method })
      down()
      expect((await fetch(url('/a'))).status).toBe(503)
      expect((await fetch(url('/b'))).status).toBe(200)
    },
  )

  test('for everybody, in every variant', async () => {
    const { warm, down, fetch, url } = await bench()
    const [ann, bob] = [{ headers: { cookie: 'ann' } }, { headers: { cookie: 'bob' } }]
    await warm('/a', ann)
    await warm('/a', bob)
    await fetch(url('/a'), { method: 'POST', ...ann })
    down()
    expect((await fetch(url('/a'), bob)).status).toBe(503)
  })

  test('also what it says that it made, on the same origin', async () => {
    const { warm, down, fetch, url, origin, options } = await bench()
    for (const path of ['/made', '/content', '/else']) await warm(path)
    const foreign = createFetch({ ...options, fetch: async () => new Response('foreign') })
    await (await foreign('http://foreign.test/made')).text()
    origin.answer = answer(null, { location: '/made', 'content-location': url('/content') }, { status: 201 })
    await fetch(url('/orders'), { method: 'POST' })
    origin.answer = answer(null, { location: 'http://foreign.test/made' }, { status: 201 })
    await fetch(url('/orders'), { method: 'POST' })
    down()
    expect((await fetch(url('/made'))).status).toBe(503)
    expect((await fetch(url('/content'))).status).toBe(503)
    expect((await fetch(url('/else'))).status).toBe(200)
    const away = createFetch({ ...options, fetch: async () => new Response(null, { status: 503 }) })
    expect(await (await away('http://foreign.test/made')).text()).toBe('foreign')
  })

  test.each([400, 404, 409, 500])('that was refused with %d changes nothing', async (status) => {
    const { warm, down, fetch, url, origin } = await bench()
    await warm('/a')
    origin.answer = answer('no', {}, { status })
    await fetch(url('/a'), { method: 'POST' })
    down()
    expect((await fetch(url('/a'))).status).toBe(200)
  })

  test('an answer that was under way meanwhile is not stored', async () => {
    const { fetch, url, passed, store, down, origin } = await bench()
    origin.answer = () => new Response('old', { headers: { 'cache-control': 'max-age=60' } })
    const response = await fetch(url('/a'))
    await fetch(url('/a'), { method: 'POST' })
    expect(await response.text()).toBe('old')
    await passed()
    expect(store.responses).toEqual([])
    down()
    expect((await fetch(url('/a'))).status).toBe(503)
  })

  test('nor one that began after an earlier answer had been stored', async () => {
    const { warm, fetch, url, down, store } = await bench()
    await warm('/a')
    const response = await fetch(url('/a'))
    await fetch(url('/a'), { method: 'POST' })
    const before = store.stored
    await response.text()
    await warm('/b')
    expect(store.stored).toBe(before + 1)
    down()
    expect((await fetch(url('/a'))).status).toBe(503)
  })

  test('nor where the store has forgotten the write meanwhile, and somebody has read again', async () => {
    const { warm, fetch, url, store, origin, down } = await bench()
    await warm('/a')
    origin.answer = answer('old', { 'cache-control': 'max-age=60' })
    const response = await fetch(url('/a'))
    await fetch(url('/a'), { method: 'POST' })
    store.entries.clear()
    origin.answer = answer('new', { 'cache-control': 'max-age=60' })
    await warm('/a')
    await response.text()
    await warm('/b')
    down()
    expect(await (await fetch(url('/a'))).text()).toBe('new')
  })

  test('what is read afterwards is stored again', async () => {
    const { warm, fetch, url, down } = await bench()
    await fetch(url('/a'), { method: 'POST' })
    await warm('/a')
    await fetch(url('/a'), { method: 'POST' })
    await warm('/a')
    down()
    expect((await fetch(url('/a'))).status).toBe(200)
  })
})

describe('clear()', () => {
  test('forgets everything', async () => {
    const { warm, fetch, url, down, cache, store } = await bench()
    await warm('/a')
    await cache.clear()
    expect(store.entries.size).toBe(0)
    down()
    expect((await fetch(url('/a'))).status).toBe(503)
  })

  test('what is under way at that moment is not stored afterwards', async () => {
    const { fetch, url, cache, passed, store } = await bench()
    const response = await fetch(url('/a'))
    await cache.clear()
    expect(await response.text()).toBe('fresh')
    await passed()
    expect(store.responses).toEqual([])
  })

  test('nor served to who asked before', async () => {
    const got = deferred<CacheEntry | undefined>()
    const { warm, fetch, url, cache, store, server } = await bench({ cache: { serveFresh: true } })
    await warm('/a')
    const get = store.get.bind(store)
    const asked = deferred()
    const slow = (key: string): CacheEntry | undefined => {
      if (!key.includes(':response:')) return get(key)
      asked.resolve()
      return got.promise.then(() => entry) as never
    }
    const entry = store.responses[0]?.[1]
    store.get = slow
    fetch.circuits.get(server.url).isolate()
    const work = failureOf(fetch(url('/a')))
    await asked.promise
    await cache.clear()
    got.resolve(undefined)
    expect(await work).toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })

  test('waits for what is being written', async () => {
    const written = deferred()
    const { fetch, url, cache, store } = await bench()
    const set = store.set.bind(store)
    const writing = deferred()
    store.set = (key, entry, ttlMs) => {
      writing.resolve()
      return written.promise.then(() => set(key, entry, ttlMs)) as never
    }
    await (await fetch(url('/a'))).text()
    await writing.promise
    const cleared = cache.clear()
    written.resolve()
    await cleared
    expect(store.entries.size).toBe(0)
  })

  test('rejects when the store fails: a sign-out must know', async () => {
    const bug = new Error('away')
    const store = Object.assign(new MapStore(), { clear: () => Promise.reject(bug) })
    expect(await failureOf(httpCache({ store }).clear())).toBe(bug)
  })
})

describe('a store that', () => {
  const broken = (methods: Partial<CacheStore>) => {
    const onError = vi.fn<NonNullable<HttpCacheOptions['onError']>>()
    const store = Object.assign(new MapStore(), methods)
    return { onError, store }
  }
  const away = new Error('away')

  test.each([
    [
      'throws',
      () => {
        throw away
      },
    ],
    ['rejects', () => Promise.reject(away)],
  ] as [string, () => never][])('%s: no cache, and no failure', async (_, fail) => {
    const { onError, store } = broken({ get: fail, set: fail, delete: fail })
    const { fetch, url, down, server } = await bench({ cache: { store, onError } })
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
    expect((await fetch(url('/a'), { method: 'POST' })).status).toBe(200)
    down()
    expect((await fetch(url('/a'))).status).toBe(503)
    expect(server.requests).toHaveLength(3)
    expect(onError).toHaveBeenCalledWith(away, {
      operation: 'get',
      key: expect.stringContaining('holdfast:') as string,
    })
    expect(onError).toHaveBeenCalledWith(away, { operation: 'set', key: expect.any(String) as string })
  })

  test('fails at writing only', async () => {
    const { onError, store } = broken({ set: () => Promise.reject(away) })
    const { fetch, url } = await bench({ cache: { store, onError } })
    await (await fetch(url('/a'))).text()
    await until(() => onError.mock.calls.length > 0)
    expect(onError.mock.calls[0]).toEqual([away, { operation: 'set', key: expect.any(String) as string }])
  })

  test('hangs: the call waits for storeTimeoutMs, and no longer', async () => {
    const { onError, store } = broken({ get: () => new Promise(() => {}) })
    const { fetch, url, clock, server } = await bench({ cache: { store, onError, storeTimeoutMs: 50 } })
    const work = fetch(url('/a'))
    await until(() => clock.pending > 0)
    await clock.advance(49)
    expect(server.requests).toHaveLength(0)
    await clock.advance(1)
    expect(await (await work).text()).toBe('fresh')
    expect(onError.mock.calls[0]?.[0]).toMatchObject({
      name: 'StoreTimeoutError',
      message: expect.stringContaining('50') as string,
    })
    expect(clock.pending).toBe(0)
  })

  test('hangs: is left alone for ten times as long, so that it does not slow down every call', async () => {
    const get = vi.fn<CacheStore['get']>(() => new Promise(() => {}))
    const { onError, store } = broken({ get })
    const { fetch, url, clock } = await bench({ cache: { store, onError, storeTimeoutMs: 50 } })
    const late = fetch(url('/a'))
    await until(() => clock.pending > 0)
    await clock.advance(50)
    await late
    await clock.advance(499)
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
    expect(await (await fetch(url('/a'), { method: 'POST' })).text()).toBe('fresh')
    expect([get.mock.calls.length, onError.mock.calls.length]).toEqual([1, 1])
    await clock.advance(1)
    const again = fetch(url('/a'))
    await until(() => get.mock.calls.length === 2)
    await clock.advance(50)
    expect(await (await again).text()).toBe('fresh')
  })

  test('hangs: clear() rejects, and tells', async () => {
    const { onError, store } = broken({ clear: () => new Promise(() => {}) })
    const cache = httpCache({ store, onError, storeTimeoutMs: 20 })
    await expect(cache.clear()).rejects.toThrow('the store did not answer within 20 ms')
    expect(onError.mock.calls).toEqual([[expect.any(Error), { operation: 'clear', key: '*' }]])
  })

  test('hangs: an abort does not wait for it', async () => {
    const { store } = broken({ get: () => new Promise(() => {}) })
    const { fetch, url, clock } = await bench({ cache: { store } })
    const controller = new AbortController()
    const work = failureOf(fetch(url('/a'), { signal: controller.signal }))
    await until(() => clock.pending > 0)
    const reason = new Error('mine')
    controller.abort(reason)
    expect(await work).toBe(reason)
  })

  test('has an onError that throws: nothing comes of it', async () => {
    const { store } = broken({ get: () => Promise.reject(away) })
    const onError = (): void => {
      throw new Error('bug')
    }
    const { fetch, url } = await bench({ cache: { store, onError } })
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
  })

  const lies: [string, (entry: CacheEntry) => unknown][] = [
    ['a text', () => 'text'],
    ['no JSON', (entry) => ({ ...entry, meta: '{' })],
    ['JSON of another shape', (entry) => ({ ...entry, meta: '{}' })],
    ['null as JSON', (entry) => ({ ...entry, meta: 'null' })],
    ['another version', (entry) => ({ ...entry, meta: entry.meta.replace('"version":1', '"version":2') })],
    [
      'another kind',
      (entry) => ({ ...entry, meta: entry.meta.replace('"kind":"response"', '"kind":"url"') }),
    ],
    ['another key', (entry) => ({ ...entry, meta: entry.meta.replace(/"key":"[^"]*"/, '"key":"x"') })],
    [
      'a status that no response can have',
      (entry) => ({ ...entry, meta: entry.meta.replace('"status":200', '"status":99') }),
    ],
    [
      'headers that are none',
      (entry) => ({ ...entry, meta: entry.meta.replace(/"headers":\[\[/, '"headers":[[1],[') }),
    ],
    ['half of the body', (entry) => ({ ...entry, body: entry.body.slice(1) })],
    ['a body that is text', (entry) => ({ ...entry, body: 'fresh' })],
  ]
  test.each(lies)('gives %s: it is not served, and deleted', async (_, lie) => {
    const { onError } = broken({})
    const { warm, down, fetch, url, store } = await bench({ cache: { onError } })
    const inner = store
    const cache = httpCache({ store: inner, onError })
    await warm('/a')
    const [key, entry] = inner.responses[0] ?? []
    if (key === undefined || entry === undefined) throw new Error('nothing is stored')
    inner.entries.set(key, lie(entry) as CacheEntry)
    down()
    const response = await fetch.with({ cache })(url('/a'))
    expect(response.status).toBe(503)
    expect(inner.entries.has(key)).toBe(false)
    expect(onError).toHaveBeenCalledWith(expect.objectContaining({ name: 'CorruptEntryError' }), {
      operation: 'get',
      key,
    })
  })

  test('gives bytes of another kind, as a Redis client does, is believed', async () => {
    const { warm, down, fetch, url, store } = await bench()
    await warm('/a')
    for (const [key, { meta, body }] of store.entries)
      store.entries.set(key, { meta, body: Buffer.from(body) })
    down()
    expect(await (await fetch(url('/a'))).text()).toBe('fresh')
  })
})

describe('in memory', () => {
  const inMemory = async (cache: HttpCacheOptions) => {
    const b = await bench()
    const fetch = createFetch({ ...b.options, cache: httpCache(cache) })
    const warm = async (path: string): Promise<void> => {
      await (await fetch(b.url(path))).text()
      await b.passed()
    }
    const isKept = async (path: string): Promise<boolean> => {
      b.down()
      const { status } = await fetch(b.url(path))
      b.up()
      return status === 200
    }
    return { ...b, fetch, warm, isKept }
  }

  test('maxEntries: what was used longest ago goes', async () => {
    const { warm, isKept } = await inMemory({ maxEntries: 2 })
    await warm('/a')
    await warm('/b')
    expect(await isKept('/a')).toBe(true)
    await warm('/c')
    expect([await isKept('/a'), await isKept('/b'), await isKept('/c')]).toEqual([true, false, true])
  })

  test('maxBytes: bodies and what is known of them count', async () => {
    const { warm, isKept, origin } = await inMemory({ maxBytes: 5000 })
    origin.answer = () => new Response('x'.repeat(2500))
    await warm('/a')
    await warm('/b')
    expect([await isKept('/a'), await isKept('/b')]).toEqual([false, true])
    origin.answer = () => new Response('x'.repeat(5000))
    await warm('/c')
    expect([await isKept('/b'), await isKept('/c')]).toEqual([true, false])
  })

  test('maxBytes: also what writes leave behind, with all that it takes', async () => {
    const { warm, isKept, fetch, url } = await inMemory({ maxBytes: 5000 })
    const write = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) await fetch(url(`/orders/${n}`), { method: 'PUT' })
    }
    await warm('/a')
    await write(6)
    expect(await isKept('/a')).toBe(true)
    await write(12)
    expect(await isKept('/a')).toBe(false)
  })

  test('clear()', async () => {
    const cache = httpCache()
    const b = await bench()
    const fetch = createFetch({ ...b.options, cache })
    await (await fetch(b.url('/a'))).text()
    await b.passed()
    await cache.clear()
    b.down()
    expect((await fetch(b.url('/a'))).status).toBe(503)
  })
})

describe('options', () => {
  test.each([
    [{ maxEntries: 0 }, 'httpCache: maxEntries should be an integer >= 1, got 0'],
    [{ maxBytes: 1.5 }, 'httpCache: maxBytes should be an integer >= 1, got 1.5'],
    [{ maxEntryBytes: '1' }, 'httpCache: maxEntryBytes should be an integer >= 1, got "1"'],
    [{ staleIfErrorMs: -1 }, 'httpCache: staleIfErrorMs should be a number >= 0, got -1'],
    [{ storeTimeoutMs: 0 }, 'httpCache: storeTimeoutMs should be a number > 0, got 0'],
    [{ serveFresh: 1 }, 'httpCache: serveFresh should be one of true, false, got 1'],
    [{ identityHeaders: 'x' }, 'httpCache: identityHeaders should be an array of header names, got "x"'],
    [
      { identityHeaders: ['a b'] },
      'each of httpCache: identityHeaders should be the name of a header, got "a b"',
    ],
    [{ identity: 'ann' }, 'httpCache: identity should be a function, got "ann"'],
    [{ onError: true }, 'httpCache: onError should be a function, got true'],
    [
      { store: {} },
      'httpCache: store should be an object with get, set, delete and clear, got an object with no keys',
    ],
    [
      { store: new MapStore(), maxEntries: 5 },
      'httpCache: maxEntries should be left out where there is a store, which has its own bounds, got 5',
    ],
    [{ maxAge: 5 }, /^httpCache has no option "maxAge"; it has /],
  ])('%o is refused', (options, message) => {
    let error: unknown
    try {
      httpCache(options as HttpCacheOptions)
    } catch (thrown) {
      error = thrown
    }
    expect(isHoldfastError(error)).toBe(true)
    expect(error).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      message: expect.stringMatching(message) as string,
    })
  })

  test('fetch.with() and a call can have another cache, whose options are never mixed with the first one’s', async () => {
    const { warm, down, fetch, url } = await bench()
    await warm('/a')
    down()
    const other = httpCache()
    expect((await fetch.with({ cache: other })(url('/a'))).status).toBe(503)
    expect((await fetch(url('/a'), { holdfast: { cache: other } })).status).toBe(503)
    expect((await fetch(url('/a'), { holdfast: { timeout: false } })).status).toBe(200)
  })

  test('a pipeline describes its cache', async () => {
    const { fetch } = await bench({ cache: { serveFresh: true } })
    expect(fetch.describe()).toMatch(/cache.*serveFresh/)
  })
})
