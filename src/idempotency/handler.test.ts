import { runInNewContext } from 'node:vm'
import { describe, expect, expectTypeOf, onTestFinished, test, vi } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import type { IdempotencyEvent } from './events.ts'
import { idempotency, idempotencyOf } from './index.ts'
import type { IdempotencyOptions } from './options.ts'
import type { IdempotencyStore } from './store.ts'

interface Asked {
  readonly method?: string
  readonly key?: string
  readonly body?: BodyInit | null
  readonly headers?: Record<string, string>
}

function ask({ method = 'POST', key = 'k', body = 'body', headers }: Asked = {}): Request {
  const init = { method, body, duplex: 'half', headers: { 'idempotency-key': key, ...headers } }
  return new Request('https://service.test/orders?a=1', init)
}

function protector(options: Partial<IdempotencyOptions> = {}): {
  readonly protect: ReturnType<typeof idempotency>
  readonly events: IdempotencyEvent[]
} {
  const events: IdempotencyEvent[] = []
  const protect = idempotency({ store: memoryStore(), onEvent: (event) => events.push(event), ...options })
  return { protect, events }
}

const chunked = (...parts: readonly string[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const part of parts) controller.enqueue(new TextEncoder().encode(part))
      controller.close()
    },
  })

describe('a web handler', () => {
  test.each([
    ['lenient', 'k,', /bare or as a quoted string/],
    ['strict', 'k', /as a quoted string: in double quotes/],
  ] as const)(
    'of %s syntax tells the sender of %s what a key looks like here',
    async (syntax, key, advice) => {
      const { protect } = protector({ syntax })
      const response = await protect(() => new Response('x'))(ask({ key }))
      expect(response.status).toBe(400)
      const detail: unknown = Reflect.get(Object(await response.json()), 'detail')
      expect(detail).toMatch(advice)
      expect(String(detail).includes('bare')).toBe(syntax === 'lenient')
    },
  )

  test('is protected from a method in lower case, too, which platforms leave as it is', async () => {
    const { protect } = protector({ required: true })
    let runs = 0
    const handler = protect((request) => new Response(`${++runs} ${request.method}`))
    expect(await (await handler(ask({ method: 'patch' }))).text()).toBe('1 patch')
    expect((await handler(ask({ method: 'patch' }))).headers.get('idempotent-replayed')).toBe('true')
    expect((await handler(ask({ method: 'PATCH' }))).status).toBe(422)
    const bare = new Request('https://service.test/', { method: 'patch' })
    expect((await handler(bare)).status).toBe(400)
    expect(runs).toBe(1)
  })

  test('gets the very same request and every further argument', async () => {
    const { protect } = protector()
    const handler = protect(async (request: Request, env: { name: string }, ...rest: number[]) => {
      seen.push([request, env, rest])
      return new Response(await request.text())
    })
    expectTypeOf(handler).toEqualTypeOf<
      (request: Request, env: { name: string }, ...rest: number[]) => Promise<Response>
    >()
    const seen: unknown[] = []
    const env = { name: 'production' }
    const request = ask()
    expect(await (await handler(request, env, 1, 2)).text()).toBe('body')
    expect(seen).toEqual([[request, env, [1, 2]]])
    expect(seen.flat()[0]).toBe(request)
    expect(seen.flat()[1]).toBe(env)
  })

  test('whose key could not be given back runs again as soon as the store is there', async () => {
    const clock = virtualClock()
    const inner = memoryStore({ clock })
    let isAway = false
    const store: IdempotencyStore = {
      name: 'away',
      acquire: (request) => inner.acquire(request),
      heartbeat: (lease) => inner.heartbeat(lease),
      complete: (lease, response) => inner.complete(lease, response),
      release: async (lease) => {
        if (isAway) throw new Error('away')
        return inner.release(lease)
      },
      read: (lease) => inner.read(lease),
    }
    const { protect } = protector({ store, clock })
    let runs = 0
    const handler = protect(() => new Response(`run ${++runs}`, { status: runs === 1 ? 429 : 201 }))
    isAway = true
    const first = handler(ask())
    await clock.advance(2000)
    expect((await first).headers.get('idempotency-status')).toBe('unsaved')
    isAway = false
    await clock.advance(5000)
    expect(await (await handler(ask())).text()).toBe('run 2')
  })

  test('may see its fence start again after the window, and gets the same downstream key', async () => {
    const clock = virtualClock()
    const { protect } = protector({ store: memoryStore({ clock }), clock })
    const seen: [fence: number, downstream: string][] = []
    const handler = protect((request: Request) => {
      const context = idempotencyOf(request)
      seen.push([context.fence, context.downstreamKey('charge')])
      return new Response(null, { status: seen.length === 1 ? 503 : 201 })
    })
    await handler(ask())
    await handler(ask())
    await clock.advance(86_400_000)
    // The store has forgotten the expired record once other keys have come.
    for (const key of ['other', 'another']) await handler(ask({ key }))
    await handler(ask())
    const [first, second, , , later] = seen
    expect([first?.[0], second?.[0], later?.[0]]).toEqual([1, 2, 1])
    expect(new Set([first?.[1], second?.[1], later?.[1]]).size).toBe(1)
  })

  test('may answer without a promise', async () => {
    const { protect } = protector()
    expect((await protect(() => Response.json({ ok: true }))(ask())).status).toBe(200)
  })

  test('whose error goes on as it is, after the key was given back', async () => {
    const { protect, events } = protector()
    const failure = new Error('broken')
    const handler = protect(() => Promise.reject(failure))
    await expect(handler(ask())).rejects.toBe(failure)
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'released'])
  })

  test('that answers with no response rejects, and the key is given back', async () => {
    const { protect, events } = protector()
    const handler = protect(async () => undefined as unknown as Response)
    await expect(handler(ask())).rejects.toThrow(TypeError)
    expect(events.at(-1)?.type).toBe('released')
  })

  test('has its saving told to the platform, and waits for it too', async () => {
    const { protect, events } = protector()
    const waited: Promise<unknown>[] = []
    const context = { waitUntil: (work: Promise<unknown>) => void waited.push(work) }
    const handler = protect((...given: [Request, object, typeof context]) => new Response(`${given.length}`))
    await handler(ask(), {}, context)
    expect(waited.length).toBe(1)
    await waited[0]
    expect(events.at(-1)?.type).toBe('completed')
    const failing = protect((...given: [Request, typeof context]) =>
      Promise.reject(new Error(`broken, ${given.length}`)),
    )
    await expect(failing(ask({ key: 'other' }), context)).rejects.toThrow('broken, 2')
    await expect(waited[1]).resolves.toBeUndefined()
  })

  test('sees a chunked body, and one over the limit is refused without waiting for its end', async () => {
    const { protect } = protector({ maxBodyBytes: 10 })
    const handler = protect(async (request) => new Response(await request.text()))
    expect(await (await handler(ask({ body: chunked('a', 'b') }))).text()).toBe('ab')
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(6)),
    })
    expect((await handler(ask({ key: 'other', body: endless }))).status).toBe(413)
  })

  test('of a request whose body was read already does not run, and the answer says what to do', async () => {
    const { protect } = protector()
    let ran = false
    const handler = protect(() => {
      ran = true
      return new Response()
    })
    const request = ask()
    await request.text()
    const response = await handler(request)
    expect(response.status).toBe(500)
    expect(await response.text()).toMatch(/before whatever reads the body/)
    expect(ran).toBe(false)
  })

  test('of a request whose body somebody has locked does not run either', async () => {
    const { protect } = protector()
    const request = ask()
    request.body?.getReader()
    const response = await protect(() => new Response())(request)
    expect(response.status).toBe(500)
    expect(await response.text()).toMatch(/body-unavailable/)
  })

  test('needs a client from its scope', async () => {
    const { protect } = protector({ scope: async () => '' })
    await expect(protect(() => new Response())(ask())).rejects.toThrow(
      /scope\(request\) should return the name/,
    )
  })

  test('has a context only where the layer stands in front of it', async () => {
    expect(() => idempotencyOf(ask())).toThrow(TypeError)
    const { protect } = protector()
    const handler = protect((request) => new Response(idempotencyOf(request).key))
    expect(await (await handler(ask({ key: '"in quotes"' }))).text()).toBe('in quotes')
  })
})

describe('a web response', () => {
  const streaming = (...chunks: readonly unknown[]): Response =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk)
          controller.close()
        },
      }),
    )

  const foreign: unknown = runInNewContext('Uint8Array.of(98)')

  test.each([[['text \u00E9']], [['a', 'b']], [['a', new Uint8Array([98])]], [['a', foreign]]])(
    'whose stream has text in it, as many a server takes it, is sent and replayed as that: %o',
    async (chunks) => {
      const { protect } = protector()
      const handler = protect(() => streaming(...chunks))
      const [first, again] = [await handler(ask()), await handler(ask())]
      const expected = chunks.map((chunk) => (typeof chunk === 'string' ? chunk : 'b')).join('')
      expect([await first.text(), await again.text()]).toEqual([expected, expected])
      expect(again.headers.get('idempotent-replayed')).toBe('true')
    },
  )

  test.each([[new Uint16Array([1])], [new ArrayBuffer(2)], [5], [null]])(
    'whose stream has something else in it fails, as on any platform, and gives the key back: %o',
    async (chunk) => {
      const { protect, events } = protector()
      await expect(protect(() => streaming('a', chunk))(ask())).rejects.toThrow(TypeError)
      expect(events.map(({ type }) => type)).toEqual(['acquired', 'released'])
    },
  )

  test('that is an error fails, since no server can send it, and gives the key back', async () => {
    const { protect, events } = protector()
    await expect(protect(() => Response.error())(ask())).rejects.toThrow(/Response\.error\(\)/)
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'released'])
  })

  test.each([undefined, 'text'])(
    'that is none (%j) fails with what it should be, and gives the key back',
    async (value) => {
      const { protect, events } = protector()
      // As code without types does it.
      const handler = protect(() => value as unknown as Response)
      await expect(handler(ask())).rejects.toThrow(`should return a Response, got ${typeof value}`)
      expect(events.map(({ type }) => type)).toEqual(['acquired', 'released'])
    },
  )

  test('that is an error after the handler had begun is saved as its failure', async () => {
    const { protect } = protector()
    const handler = protect((request: Request) => {
      idempotencyOf(request).began()
      return Response.error()
    })
    await expect(handler(ask())).rejects.toThrow(TypeError)
    const again = await handler(ask())
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([500, 'true'])
  })

  test('that can not be copied goes on without its mark', async () => {
    const { protect } = protector()
    const failed = Response.error()
    expect(await protect(() => failed)(ask({ method: 'GET', body: null }))).toBe(failed)
  })

  test('with fixed headers gets its mark all the same', async () => {
    const { protect } = protector()
    const redirect = protect(() => Response.redirect('https://service.test/orders/1', 303))
    const first = await redirect(ask())
    expect([first.status, first.headers.get('location')]).toEqual([303, 'https://service.test/orders/1'])
    const again = await redirect(ask())
    expect([again.status, again.headers.get('location')]).toEqual([303, 'https://service.test/orders/1'])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const ignored = await redirect(ask({ method: 'GET', body: null }))
    expect(ignored.headers.get('idempotency-status')).toBe('ignored')
  })

  test('that is an event stream comes through while it is being made', async () => {
    const { protect, events } = protector()
    let send: ReadableStreamDefaultController<Uint8Array> | undefined
    const handler = protect(() => {
      const body = new ReadableStream<Uint8Array>({ start: (controller) => (send = controller) })
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    })
    const response = await handler(ask())
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'completed'])
    const reader = response.body?.getReader()
    send?.enqueue(new TextEncoder().encode('data: 1\n\n'))
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('data: 1\n\n')
    expect((await handler(ask())).status).toBe(409)
    await reader?.cancel()
  })

  test('over the limit goes on streaming after its beginning was read', async () => {
    const { protect } = protector({ maxResponseBytes: 4 })
    let pulls = 0
    const handler = protect(() => {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (++pulls === 20) controller.close()
          else controller.enqueue(new TextEncoder().encode('abc'))
        },
      })
      return new Response(body)
    })
    const response = await handler(ask())
    expect(pulls).toBeLessThan(6)
    expect(await response.text()).toBe('abc'.repeat(19))
    expect((await handler(ask())).status).toBe(409)
  })

  test('over the limit whose reader leaves is told so', async () => {
    const { protect } = protector({ maxResponseBytes: 1 })
    let reason: unknown
    const handler = protect(() => {
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(2)),
        cancel: (given) => {
          reason = given
        },
      })
      return new Response(body)
    })
    const response = await handler(ask())
    await response.body?.cancel('left')
    expect(reason).toBe('left')
  })

  test('whose body breaks while it is read is a throw: the key is given back', async () => {
    const { protect, events } = protector()
    const handler = protect(() => {
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.error(new Error('upstream broke')),
      })
      return new Response(body)
    })
    await expect(handler(ask())).rejects.toThrow('upstream broke')
    expect(events.at(-1)?.type).toBe('released')
  })

  test('that is no Response of this realm is taken all the same', async () => {
    const { protect } = protector()
    const handler = protect(() => {
      const { status, statusText, headers, body } = new Response('foreign', { status: 202 })
      const foreign = {
        status,
        statusText,
        headers,
        body,
        arrayBuffer: () => Promise.resolve(new ArrayBuffer(0)),
      }
      return foreign as unknown as Response
    })
    const first = await handler(ask())
    expect([first.status, await first.text()]).toEqual([202, 'foreign'])
  })
})

describe('a store that fails', () => {
  const store: IdempotencyStore = Object.assign(memoryStore(), {
    acquire: () => Promise.reject(new Error('call migrate() first')),
  })

  function warnings(): unknown[] {
    const spy = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => spy.mockRestore())
    return spy.mock.calls
  }

  test('is told to the log once, where nobody listens', async () => {
    const calls = warnings()
    const handler = idempotency({ store, storeTimeoutMs: 5 })(() => new Response())
    for (const key of ['a', 'b']) expect((await handler(ask({ key }))).status).toBe(503)
    const options = { type: 'HoldfastWarning', code: 'HOLDFAST_STORE_ERROR' }
    const message =
      'the store of idempotency() failed (acquire): Error: call migrate() first. onEvent hears each failure.'
    expect(calls).toEqual([[message, options]])
  })

  test('is told to who listens, and to nobody else', async () => {
    const calls = warnings()
    const { protect, events } = protector({ store, storeTimeoutMs: 5 })
    expect((await protect(() => new Response())(ask())).status).toBe(503)
    expect(events.map(({ type }) => type)).toContain('store-error')
    expect(calls).toEqual([])
  })
})
