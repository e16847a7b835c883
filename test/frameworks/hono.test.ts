import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { Hono, type Context, type Env, type MiddlewareHandler } from 'hono'
import { compress } from 'hono/compress'
import { setCookie } from 'hono/cookie'
import { cors } from 'hono/cors'
import { HTTPException } from 'hono/http-exception'
import { stream, streamText } from 'hono/streaming'
import { timeout } from 'hono/timeout'
import { validator } from 'hono/validator'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/hono.ts'
import { CORS_HEADERS, type IdempotencyStore } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { until } from '../client/support/wait.ts'
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

interface OnNode extends Env {
  Bindings: HttpBindings
}

type Handler = (context: Context<OnNode>) => Response | Promise<Response>

const { events, layer } = layers(idempotency<Context>)

/** Starts an application on a server of node:http. */
const started = (app: Hono<OnNode>): Promise<number> =>
  serving((request, response) => void onNode(app)(request, response))

const onNode = (app: Hono<OnNode>): ReturnType<typeof getRequestListener> =>
  getRequestListener((request, env) => app.fetch(request, env), { overrideGlobalObjects: false })

const application = (...middleware: readonly MiddlewareHandler[]): Hono<OnNode> => {
  const app = new Hono<OnNode>()
  for (const each of middleware) app.use(each)
  return app
}

const kept = (handle: Handler, options = {}): Promise<number> =>
  started(application(layer(options)).post('/', handle))

const answers: Readonly<Record<string, Handler>> = {
  'c.json': (context) => context.json({ order: 1 }, 201),
  'c.json of null': (context) => context.json(null),
  'c.text': (context) => context.text('text'),
  'c.html': (context) => context.html('<p>text</p>'),
  'c.body of bytes': (context) => context.body(new Uint8Array([0, 255, 254, 10])),
  'c.body of 1 MiB': (context) => context.body(new Uint8Array(MIB)),
  'c.body of a stream': (context) => context.body(new Blob(['a', 'b']).stream()),
  stream: (context) =>
    stream(context, async (out) => {
      await out.write('a')
      await out.write(Uint8Array.of(0xff))
    }),
  streamText: (context) => streamText(context, async (out) => void (await out.writeln('a'))),
  'a 204': (context) => context.body(null, 204),
  'a 205': (context) => context.body(null, 205),
  'a 304': (context) => context.body(null, 304, { etag: '"1"' }),
  'c.redirect': (context) => context.redirect('/orders/1', 303),
  'a Response': () => new Response('by hand', { status: 202, headers: { 'x-a': 'b' } }),
  'headers and cookies': (context) => {
    context.header('location', '/1')
    context.header('x-many', '1')
    context.header('x-many', '2', { append: true })
    setCookie(context, 'a', 'b')
    return context.text('x')
  },
}

test.each(Object.entries(answers))(
  '%s is sent and replayed as it is without the layer',
  async (_, handle) => {
    // Hono writes one media type differently once middleware has looked at the response.
    const looking: MiddlewareHandler = (context, next) => (void context.res, next())
    const bare = await started(application(looking).post('/', handle))
    await expectFaithful({ bare, kept: await kept(handle) }, {})
  },
)

test('a HEAD request is not protected, and answered by its GET route', async () => {
  const answer = await ask(await started(application(layer()).get('/', (context) => context.text('text'))), {
    method: 'HEAD',
  })
  expect([answer.status, answer.headers['idempotency-status'], answer.text]).toEqual([200, 'ignored', ''])
})

describe('a throw gives the key back', () => {
  const failing: Handler = () => {
    throw new Error('broken')
  }
  const quiet = (context: Context, error: Error): Response => context.text(`handled: ${error.message}`, 502)

  test('when onError answers', async () => {
    const app = application(layer()).post('/', failing)
    app.onError((error, context) => quiet(context, error))
    expect((await expectReleased(await started(app), {})).text).toBe('handled: broken')
  })

  test('when onError of a part of the application answers', async () => {
    const part = new Hono<OnNode>().post('/', failing)
    part.onError((error, context) => quiet(context, error))
    const port = await started(application(layer()).route('/part', part))
    expect((await expectReleased(port, { path: '/part' })).text).toBe('handled: broken')
  })

  test('when it is an HTTPException, whose response is its own', async () => {
    const port = await kept(() => {
      throw new HTTPException(409, { message: 'no more of them' })
    })
    const answer = await expectReleased(port, {})
    expect([answer.status, answer.text]).toEqual([409, 'no more of them'])
  })

  test('when the body is a stream that fails', async () => {
    const app = application(layer()).post('/', (context) =>
      context.body(new ReadableStream({ pull: (controller) => controller.error(new Error('torn')) })),
    )
    app.onError((error, context) => quiet(context, error))
    expect((await expectReleased(await started(app), {})).text).toBe('handled: torn')
  })

  test('when Hono throws it, since a handler has returned nothing', async () => {
    // As code without types does it.
    const handle = (() => {}) as unknown as Handler
    const answering = (error: Error, context: Context): Response => context.text(error.message, 500)
    const port = await started(application(layer()).post('/', handle).get('/', handle).onError(answering))
    const answer = await expectReleased(port, {})
    expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('no Response')])
    expect((await ask(port, { key: null, method: 'GET' })).status).toBe(500)
  })

  test('when it is a validator that refuses', async () => {
    const refusing = validator('json', (_, context) => context.text('wrong', 400))
    const app = application(layer()).post('/', refusing, (context) => context.text('never'))
    expect((await expectReleased(await started(app), JSON_BODY)).text).toBe('wrong')
  })
})

test.each(['outside', 'inside'])('a timeout of Hono %s has nothing done again', async (where) => {
  let runs = 0
  const over = new AbortController()
  const own = layer()
  const order = where === 'outside' ? [timeout(1), own] : [own, timeout(1)]
  const app = application(...order).post('/', async (context) => {
    runs++
    if (!over.signal.aborted) await once(over.signal, 'abort')
    return context.text('late', 201)
  })
  const send = async (): Promise<Response> =>
    app.request('/', { method: 'POST', headers: { 'idempotency-key': 'k' } })
  expect((await send()).status).toBe(504)
  over.abort()
  await until(() => events.some(({ type }) => type === 'completed' || type === 'released'))
  const again = await send()
  expect([again.status, await again.text(), again.headers.get('idempotent-replayed'), runs]).toEqual([
    504,
    'Gateway Timeout',
    'true',
    1,
  ])
})

test('what nobody answers gives the key back', async () => {
  expect((await expectReleased(await started(application(layer())), {})).status).toBe(404)
})

test('an error after began() has its error page saved, and one that onError answers with success, too', async () => {
  const app = application(layer()).post('/:how', (context) => {
    if (context.req.param('how') === 'began') idempotencyOf(context).began()
    throw new Error('broken')
  })
  app.onError((_, context) => context.text('dealt with', context.req.path === '/began' ? 500 : 200))
  const port = await started(app)
  const began = await expectReplayed(port, { path: '/began', key: '1' })
  expect([began.text, began.headers['idempotency-status']]).toEqual(['dealt with', 'stored'])
  expect((await expectReplayed(port, { path: '/fine', key: '2' })).status).toBe(200)
})

describe('the body', () => {
  const parsing = validator('json', (value: object) => value)
  const echo: Handler = async (context) => context.json(await context.req.json())

  test('is left to whoever comes after', async () => {
    const port = await started(application(layer()).post('/', parsing, echo))
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('that was read before is refused, with what to do', async () => {
    const policyUrl = 'https://a.test/policy'
    const port = await started(application().post('/', parsing, layer({ policyUrl }), echo))
    const answer = await ask(port, JSON_BODY)
    expect([answer.status, answer.headers['link']]).toEqual([500, `<${policyUrl}>; rel="describedby"`])
    expect(answer.text).toMatch(/before whatever reads the body/)
  })
})

test('the whole path is the identity, wherever a part is mounted', async () => {
  const part = new Hono<OnNode>()
  part.use(layer())
  part.post('/orders', (context) => context.text(context.req.path))
  const port = await started(application().route('/a', part).route('/b', part))
  expect((await expectReplayed(port, { path: '/a/orders' })).text).toBe('/a/orders')
  expect((await ask(port, { path: '/b/orders' })).status).toBe(422)
})

test('what middleware outside sets is its own on every answer, and not stored', async () => {
  let serial = 0
  const outside: MiddlewareHandler = async (context, next) => {
    context.header('x-before', String(++serial))
    if (serial === 1) context.header('x-once', 'yes')
    await next()
    context.header('x-after', String(serial))
  }
  const port = await started(application(outside, layer()).post('/', (context) => context.text('x')))
  const seen = [await ask(port), await ask(port)].map(({ headers }) => [
    headers['x-before'],
    headers['x-after'],
    headers['x-once'],
  ])
  expect(seen).toEqual([
    ['1', '1', 'yes'],
    ['2', '2', undefined],
  ])
})

test('what compression outside makes of a response is not stored', async () => {
  const app = application(compress({ threshold: 0 }), layer())
  app.post('/json', (context) => context.json({ text: 'a'.repeat(500) }))
  app.post('/stream', (context) =>
    context.body(new Blob(['a'.repeat(500), 'b']).stream(), 200, { 'content-type': 'text/plain' }),
  )
  const port = await started(app)
  await expectCompressedAnew(port, '/json')
  await expectCompressedAnew(port, '/stream')
})

test('cors outside answers preflights, and marks replays and refusals for who asks', async () => {
  const outside = cors({
    origin: (origin) => origin,
    allowHeaders: [...CORS_HEADERS.allow, 'content-type'],
    exposeHeaders: [...CORS_HEADERS.expose],
  })
  await expectCors(await started(application(outside, layer()).post('/', (context) => context.text('x'))))
})

test('pipelined requests are answered in their order', async () => {
  const port = await started(application(layer()).post('/:name', (context) => context.text(context.req.path)))
  await expectInOrder(port)
})

describe('a client that leaves finds the response later', () => {
  test.each<[string, Handler]>([
    ['text', (context) => context.text('done')],
    ['a stream', (context) => context.body(new Blob(['do', 'ne']).stream())],
  ])('which is %s', async (_, handle) => {
    const departure = new Departure()
    const port = await kept(async (context) => {
      await departure.pass(context.env.incoming)
      return handle(context)
    })
    const answer = await departure.answerAfter(port, events)
    expect([answer.replayed, answer.text]).toEqual([true, 'done'])
  })
})

test('in a transaction a throw takes everything back, and what is done is done once', async () => {
  const { store, order, count } = ledger()
  const app = application(layer({ store, transactional: true }))
  app.get('/', async (context) => context.text(await idempotencyOf(context).transaction(count)))
  app.post('/', (context) =>
    idempotencyOf(context).transaction((db: Parameters<typeof order>[0]) => {
      order(db)
      return context.text('ordered', 201)
    }),
  )
  app.onError((_, context) => context.text('out of stock', 500))
  await expectOneEffect(await started(app))
})

test('a response of an unprotected request is left as it is: that of an upgrade can not be made again', async () => {
  const upgrade = new Response(null)
  Object.defineProperty(upgrade, 'status', { value: 101 })
  const app = application(layer()).get('/', () => upgrade)
  expect(await app.request('/')).toBe(upgrade)
})

test('what stands in for a response that was discarded has all that middleware outside has set', async () => {
  const store = memoryStore()
  const stale = { ...bound(store), complete: async () => 'stale' as const }
  const app = application(
    async (context, next) => {
      for (const cookie of ['a=1', 'b=2']) context.header('set-cookie', cookie, { append: true })
      await next()
    },
    layer({ store: stale }),
  )
  app.post('/', (context) => context.text('ordered'))
  const response = await app.request('/', { method: 'POST', headers: { 'idempotency-key': 'k' } })
  expect(response.status).toBe(409)
  expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
})

/** A store's operations, to be put together anew. */
function bound(store: IdempotencyStore): IdempotencyStore {
  return {
    name: store.name,
    acquire: (request) => store.acquire(request),
    heartbeat: (lease) => store.heartbeat(lease),
    complete: (lease, response) => store.complete(lease, response),
    release: (lease) => store.release(lease),
    read: (lease) => store.read(lease),
  }
}

describe('as the handler of a worker', () => {
  const asking = (app: Hono, ...rest: [object?, ExecutionContext?]): Promise<Response> =>
    Promise.resolve(
      app.fetch(
        new Request('https://a.test/', { method: 'POST', headers: { 'idempotency-key': 'k' } }),
        ...rest,
      ),
    )

  type ExecutionContext = NonNullable<Parameters<Hono['fetch']>[2]>

  test('it replays without a server, and gets its environment', async () => {
    const app = new Hono()
    app.use(layer())
    app.post('/', (context) => context.json(context.env, 201))
    const first = await asking(app, { name: 'production' })
    const again = await asking(app, { name: 'production' })
    expect([first.status, await first.text()]).toEqual([201, '{"name":"production"}'])
    expect([again.status, await again.text()]).toEqual([201, '{"name":"production"}'])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
  })

  test('its platform is told what is still to be done', async () => {
    const app = new Hono()
    app.use(layer())
    app.post('/', (context) => context.text('x'))
    const waited: Promise<unknown>[] = []
    const context = { waitUntil: (work: Promise<unknown>) => void waited.push(work) }
    await asking(app, {}, context as unknown as ExecutionContext)
    expect(waited.length).toBe(1)
    await waited[0]
    expect(events.at(-1)?.type).toBe('completed')
  })
})
