/** Web-standard handlers: on a server of node:http, and in the shapes that platforms call them in. */
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { describe, expect, test } from 'vitest'
import { CORS_HEADERS, idempotency, idempotencyOf } from '../../src/idempotency/index.ts'
import {
  ask,
  Departure,
  expectCompressedAnew,
  expectCors,
  expectFaithful,
  expectInOrder,
  expectOneEffect,
  expectReleased,
  expectReplayed,
  JSON_BODY,
  layers,
  ledger,
  MIB,
  serving,
} from './support.ts'

type Handler = (request: Request, platform: HttpBindings) => Response | Promise<Response>

const { events, layer } = layers(idempotency)

/** Starts a server whose platform answers for what a handler throws. */
function started(handle: Handler): Promise<number> {
  const listener = getRequestListener((request, env) => handle(request, env as HttpBindings), {
    overrideGlobalObjects: false,
    errorHandler: (error) => new Response(`the platform: ${Object(error).message}`, { status: 500 }),
  })
  return serving((request, response) => void listener(request, response))
}

const answers: Readonly<Record<string, Handler>> = {
  'Response.json': () => Response.json({ order: 1 }, { status: 201 }),
  text: () => new Response('text'),
  'no body': () => new Response(),
  'an empty text': () => new Response(''),
  bytes: () => new Response(new Uint8Array([0, 255, 254, 10])),
  '1 MiB': () => new Response(new Uint8Array(MIB)),
  'a Blob': () => new Response(new Blob(['blob'], { type: 'image/png' })),
  'a form': () => new Response(new URLSearchParams({ a: '1' })),
  'a stream': () => new Response(new Blob(['a', 'b']).stream()),
  'a 204': () => new Response(null, { status: 204 }),
  'a 205': () => new Response(null, { status: 205 }),
  'a 304': () => new Response(null, { status: 304, headers: { etag: '"1"' } }),
  'Response.redirect': () => Response.redirect('https://a.test/orders/1', 303),
  'what was fetched, its status in another language': () =>
    Object.defineProperty(new Response('x'), 'statusText', { value: 'Хорошо' }),
  'headers and cookies': () =>
    new Response('x', {
      headers: [
        ['location', '/1'],
        ['x-many', '1'],
        ['x-many', '2'],
        ['set-cookie', 'a=b'],
        ['set-cookie', 'c=d'],
      ],
    }),
}

test.each(Object.entries(answers))(
  '%s is sent and replayed as it is without the layer',
  async (_, handle) => {
    await expectFaithful({ bare: await started(handle), kept: await started(layer()(handle)) }, {})
  },
)

describe('a throw gives the key back, and is the platform’s to answer', () => {
  test.each<[string, Handler]>([
    [
      'at once',
      () => {
        throw new Error('broken')
      },
    ],
    ['later', () => Promise.reject(new Error('broken'))],
    [
      'in the body',
      () => new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('broken')) })),
    ],
  ])('%s', async (_, handle) => {
    expect((await expectReleased(await started(layer()(handle)), {})).text).toBe('the platform: broken')
  })
})

test('a throw after began() is the platform’s to answer, too, and duplicates are told that it failed', async () => {
  const port = await started(
    layer()((request) => {
      idempotencyOf(request).began()
      throw new Error('broken')
    }),
  )
  expect((await ask(port)).text).toBe('the platform: broken')
  const again = await ask(port)
  expect([again.status, again.replayed, again.headers['idempotency-status']]).toEqual([500, true, 'stored'])
  expect(again.text).toMatch(/handler-failed/)
})

describe('the body', () => {
  const echo = async (request: Request): Promise<Response> => Response.json(await request.json())

  test('is left to the handler', async () => {
    const port = await started(layer()(echo))
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('that was read before is refused, with what to do; a clone may be read', async () => {
    const policyUrl = 'https://a.test/policy'
    const handle = layer({ policyUrl })(echo)
    const port = await started(async (request) => {
      await (new URL(request.url).pathname === '/clone' ? request.clone() : request).text()
      return handle(request)
    })
    const answer = await ask(port, JSON_BODY)
    expect([answer.status, answer.headers['link']]).toEqual([500, `<${policyUrl}>; rel="describedby"`])
    expect(answer.text).toMatch(/before whatever reads the body/)
    expect((await expectReplayed(port, { ...JSON_BODY, path: '/clone' })).text).toBe('{"a":1}')
  })
})

test('what compression outside makes of a response is not stored', async () => {
  const handle = layer()((request) =>
    request.url.endsWith('/json')
      ? Response.json({ text: 'a'.repeat(500) })
      : new Response(new Blob(['a'.repeat(500), 'b']).stream()),
  )
  const port = await started(async (request) => {
    const response = await handle(request)
    if (request.headers.get('accept-encoding') !== 'gzip' || response.body === null) return response
    const headers = new Headers(response.headers)
    headers.set('content-encoding', 'gzip')
    const body = response.body.pipeThrough(new CompressionStream('gzip'))
    return new Response(body, { status: response.status, headers })
  })
  await expectCompressedAnew(port, '/json')
  await expectCompressedAnew(port, '/stream')
})

test('cors outside answers preflights, and marks replays and refusals for who asks', async () => {
  const handle = layer()(() => new Response('x'))
  const port = await started(async (request) => {
    const response =
      request.method === 'OPTIONS' ? new Response(null, { status: 204 }) : await handle(request)
    response.headers.set('access-control-allow-origin', request.headers.get('origin') ?? '*')
    response.headers.set('access-control-allow-headers', CORS_HEADERS.allow.join())
    response.headers.set('access-control-expose-headers', CORS_HEADERS.expose.join())
    return response
  })
  await expectCors(port)
})

test('pipelined requests are answered in their order', async () => {
  const port = await started(layer()(async (request) => new Response(new URL(request.url).pathname)))
  await expectInOrder(port)
})

describe('a client that leaves finds the response later', () => {
  test.each<[string, () => Response]>([
    ['text', () => new Response('done')],
    ['a stream', () => new Response(new Blob(['do', 'ne']).stream())],
  ])('which is %s', async (_, respond) => {
    const departure = new Departure()
    const handle = layer()(async (_request: Request, { incoming }: HttpBindings) => {
      await departure.pass(incoming)
      return respond()
    })
    const answer = await departure.answerAfter(await started(handle), events)
    expect([answer.replayed, answer.text]).toEqual([true, 'done'])
  })
})

test('in a transaction a throw takes everything back, and what is done is done once', async () => {
  const { store, order, count } = ledger()
  const handle = layer({ store, transactional: true })(async (request) => {
    const work = idempotencyOf(request)
    if (request.method === 'GET') return new Response(await work.transaction(count))
    return work.transaction((db: Parameters<typeof order>[0]) => {
      order(db)
      return new Response('ordered', { status: 201 })
    })
  })
  await expectOneEffect(await started(handle))
})

describe('in the shape of a platform', () => {
  const asking = (body = ''): Request =>
    new Request('https://a.test/orders/1', { method: 'POST', headers: { 'idempotency-key': 'k' }, body })

  async function expectReplay(call: () => Promise<Response>, expected: string): Promise<void> {
    const [first, again] = [await call(), await call()]
    expect([first.status, await first.text()]).toEqual([201, expected])
    expect([again.status, await again.text()]).toEqual([201, expected])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  }

  test('a route handler of Next.js gets its own request and parameters', async () => {
    class NextRequest extends Request {
      get nextUrl(): URL {
        return new URL(this.url)
      }
    }
    const POST = layer()(async (request, { params }: { params: Promise<{ id: string }> }) => {
      if (!(request instanceof NextRequest)) throw new TypeError('another request')
      return new Response(`${request.nextUrl.pathname} ${(await params).id}`, { status: 201 })
    })
    const call = (): Promise<Response> =>
      POST(new NextRequest(asking()), { params: Promise.resolve({ id: '1' }) })
    await expectReplay(call, '/orders/1 1')
  })

  test('a worker gets its environment, and its platform is told what is still to be done', async () => {
    const waited: Promise<unknown>[] = []
    const worker = {
      fetch: layer()(
        (_request: Request, env: { region: string }, _: { waitUntil(work: Promise<unknown>): void }) =>
          new Response(env.region, { status: 201 }),
      ),
    }
    const context = { waitUntil: (work: Promise<unknown>) => void waited.push(work) }
    await expectReplay(() => worker.fetch(asking(), { region: 'eu' }, context), 'eu')
    expect(waited.length).toBe(2)
    await Promise.all(waited)
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'completed', 'replayed'])
  })

  test('a handler of Deno or Bun gets what they know of the connection', async () => {
    const serve = layer()(
      (_request: Request, { remoteAddr }: { remoteAddr: { hostname: string } }) =>
        new Response(remoteAddr.hostname, { status: 201 }),
    )
    await expectReplay(() => serve(asking(), { remoteAddr: { hostname: '::1' } }), '::1')
  })
})
