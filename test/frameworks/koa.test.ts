import { bodyParser } from '@koa/bodyparser'
import cors from 'cors'
import compression from 'compression'
import Koa, { type Context, type Middleware } from 'koa'
import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { request, type IncomingMessage, type RequestListener } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/koa.ts'
import { CORS_HEADERS } from '../../src/idempotency/index.ts'
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
  FILE,
  JSON_BODY,
  layers,
  ledger,
  MIB,
  serving,
  warnings,
} from './support.ts'

type Handler = (context: Context) => unknown

const { events, layer } = layers(idempotency<Context>)

function application(...middleware: readonly Middleware[]): Koa {
  const app = new Koa()
  app.silent = true
  for (const each of middleware) app.use(each)
  return app
}

function listenerOf(app: Koa): RequestListener {
  const handle = app.callback()
  return (request, response) => void handle(request, response)
}

const started = (...middleware: readonly Middleware[]): Promise<number> =>
  serving(listenerOf(application(...middleware)))

/** Middleware that answers and goes no further. */
const answering =
  (handle: Handler): Middleware =>
  async (context) => {
    await handle(context)
  }

const answers: Readonly<Record<string, Handler>> = {
  'an object': (context) => (context.body = { order: 1 }),
  text: (context) => (context.body = 'text'),
  HTML: (context) => (context.body = '<p>text</p>'),
  bytes: (context) => (context.body = Buffer.from([0, 255, 254, 10])),
  '1 MiB': (context) => (context.body = MIB),
  null: (context) => (context.body = null),
  'an explicit 200 without a body': (context) => (context.status = 200),
  'a 205': (context) => (context.status = 205),
  'a 304': (context) => {
    context.status = 304
    context.set('etag', '"1"')
  },
  'a status that is a text': (context) => {
    Reflect.set(context.res, 'statusCode', '204')
  },
  'a file': (context) => {
    context.type = 'json'
    context.body = createReadStream(FILE)
  },
  'a stream': (context) => (context.body = Readable.from(['a', 'b'])),
  'a web stream': (context) => (context.body = new Blob(['a', 'b']).stream()),
  'a Blob': (context) => (context.body = new Blob(['blob'])),
  'a Response': (context) =>
    (context.body = new Response('fetched', { status: 202, headers: { 'x-a': 'b' } })),
  'a redirect': (context) => context.redirect('/orders/1'),
  'an attachment': (context) => {
    context.attachment('order.txt')
    context.body = 'order'
  },
  'headers and cookies': (context) => {
    context.set({ location: '/1', 'x-many': ['1', '2'] })
    context.cookies.set('a', 'b')
    context.body = 'x'
  },
}

test.each(Object.entries(answers))(
  '%s is sent and replayed as it is without the layer',
  async (_, handle) => {
    const twins = { bare: await started(answering(handle)), kept: await started(layer(), answering(handle)) }
    await expectFaithful(twins, {})
  },
)

test('what a handler writes by itself is sent and replayed', async () => {
  const port = await started(
    layer(),
    answering((context) => {
      context.respond = false
      setImmediate(() => {
        context.res.writeHead(201, { 'content-type': 'text/plain' })
        context.res.write('by ')
        context.res.end('hand')
      })
    }),
  )
  expect((await expectReplayed(port, {})).text).toBe('by hand')
})

test('a scope that throws nothing is an error, and answered', async () => {
  const scope = (): Promise<string> => Promise.reject(undefined)
  const port = await started(
    layer({ scope }),
    answering((context) => void (context.body = 'never')),
  )
  expect((await ask(port)).status).toBe(500)
})

test('interim responses leave before the response', async () => {
  const port = await started(
    layer(),
    answering((context) => {
      context.res.writeContinue()
      context.res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      context.res.writeProcessing()
      context.body = 'text'
    }),
  )
  const statuses: (number | undefined)[] = []
  const sent = request({ port, method: 'POST', headers: { 'idempotency-key': 'k' } })
  sent.on('information', ({ statusCode }) => void statuses.push(statusCode))
  const [response] = (await once(sent.end(), 'response')) as [IncomingMessage]
  expect([...statuses, response.statusCode]).toEqual([100, 103, 102, 200])
  expect(await text(response)).toBe('text')
})

test('a HEAD request is not protected', async () => {
  const port = await started(
    layer(),
    answering((context) => (context.body = 'text')),
  )
  const answer = await ask(port, { method: 'HEAD' })
  expect([answer.status, answer.headers['content-length'], answer.text]).toEqual([200, '4', ''])
})

test('what nobody answers gives the key back, and a 404 page from outside is not recorded', async () => {
  expect((await expectReleased(await started(layer()), {})).text).toBe('Not Found')
  const page: Middleware = async (context, next) => {
    await next()
    if (context.status !== 404) return
    context.status = 404
    context.body = 'a page of its own'
  }
  expect((await expectReleased(await started(page, layer()), {})).text).toBe('a page of its own')
})

/** A body that breaks at once, and is listened to as Koa 2 does it. */
const torn = (type: string): Middleware =>
  answering(async (context) => {
    const stream = new PassThrough()
    context.type = type
    context.body = stream
    stream.once('error', (error) => context.onerror(error))
    stream.destroy(new Error('torn'))
    await new Promise((resolve) => stream.once('close', resolve))
  })

describe('a throw gives the key back', () => {
  const failing = answering(() => {
    throw new Error('broken')
  })

  test('when Koa answers, whose error event hears it', async () => {
    const app = application(layer(), failing)
    const heard: string[] = []
    app.on('error', (error: Error) => heard.push(error.message))
    const port = await serving(listenerOf(app))
    const answer = await expectReleased(port, {})
    expect([answer.status, answer.text]).toEqual([500, 'Internal Server Error'])
    expect(heard).toEqual(['broken', 'broken'])
  })

  test('when middleware outside answers', async () => {
    const outside: Middleware = async (context, next) => {
      await next().catch((error: Error) => {
        context.status = 502
        context.body = `handled: ${error.message}`
      })
    }
    expect((await expectReleased(await started(outside, layer(), failing), {})).text).toBe('handled: broken')
  })

  test('when it is context.throw', async () => {
    const conflict = answering((context) => context.throw(409, 'no more of them'))
    const answer = await expectReleased(await started(layer(), conflict), {})
    expect([answer.status, answer.text]).toEqual([409, 'no more of them'])
  })

  test('when the body is a stream that fails', async () => {
    const port = await started(
      layer(),
      answering((context) => {
        const stream = new PassThrough()
        context.body = stream
        setImmediate(() => stream.destroy(new Error('torn')))
      }),
    )
    expect((await expectReleased(port, {})).status).toBe(500)
  })

  test('when Koa 2 would answer by itself for a stream that fails', async () => {
    expect((await expectReleased(await started(layer(), torn('text/plain')), {})).status).toBe(500)
  })
})

test('Koa 2 answers by itself for an event stream that fails before it is sent', async () => {
  const answer = await ask(await started(layer(), torn('text/event-stream')), {})
  expect([answer.status, answer.text]).toEqual([500, 'Internal Server Error'])
})

test('what middleware inside makes of a throw is its response, and saved', async () => {
  const inside: Middleware = async (context, next) => {
    await next().catch(() => {
      context.status = 500
      context.body = 'dealt with'
    })
  }
  const failing = answering(() => {
    throw new Error('broken')
  })
  const answer = await expectReplayed(await started(layer(), inside, failing), {})
  expect([answer.text, answer.headers['idempotency-status']]).toEqual(['dealt with', 'stored'])
})

describe('the body', () => {
  const echo = answering((context) => (context.body = context.request.body))

  test('is left to a parser that comes after', async () => {
    const port = await started(layer(), bodyParser(), echo)
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a":2}' })).status).toBe(422)
  })

  test('is compared by what @koa/bodyparser has kept when it comes before', async () => {
    const port = await started(bodyParser(), layer(), echo)
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('that was read and not kept is refused, with what to do: to the client, and once to the log', async () => {
    const heard = warnings()
    const reading: Middleware = async (context, next) => {
      for await (const _ of context.req);
      await next()
    }
    const port = await started(reading, layer(), echo)
    await ask(port, JSON_BODY)
    const answer = await ask(port, JSON_BODY)
    expect(answer.status).toBe(500)
    expect(answer.text).toMatch(/before whatever reads the body.*rawBody/)
    expect(heard).toEqual([expect.stringMatching(/before the body parser.*context\.request\.rawBody/)])
  })
})

test('the whole path is the identity, whatever a mount cuts off', async () => {
  const mount: Middleware = async (context, next) => {
    context.path = context.path.replace(/^\/[ab]/, '')
    await next()
  }
  const port = await started(
    mount,
    layer(),
    answering((context) => (context.body = context.path)),
  )
  expect((await expectReplayed(port, { path: '/a/orders' })).text).toBe('/orders')
  expect((await ask(port, { path: '/b/orders' })).status).toBe(422)
})

test('what middleware outside sets is its own on every answer, and not stored', async () => {
  let serial = 0
  const outside: Middleware = async (context, next) => {
    context.set('x-before', String(++serial))
    await next()
    context.set('x-after', String(serial))
  }
  const port = await started(
    outside,
    layer(),
    answering((context) => (context.body = 'x')),
  )
  const seen = [await ask(port), await ask(port)].map(({ headers }) => [
    headers['x-before'],
    headers['x-after'],
  ])
  expect(seen).toEqual([
    ['1', '1'],
    ['2', '2'],
  ])
})

/** Connect's middleware in front of the callback, as applications without Koa's own packages do it. */
type Connect = (request: never, response: never, next: () => void) => void

async function behind(connect: Connect, app: Koa): Promise<number> {
  const handle = listenerOf(app)
  return serving((request, response) => {
    connect(request as never, response as never, () => handle(request, response))
  })
}

test('what compression outside makes of a response is not stored', async () => {
  const app = application(
    layer(),
    answering((context) => {
      context.body =
        context.path === '/json' ? { text: 'a'.repeat(500) } : Readable.from(['a'.repeat(500), 'b'])
      if (context.path !== '/json') context.type = 'text'
    }),
  )
  const port = await behind(compression({ threshold: 0 }), app)
  await expectCompressedAnew(port, '/json')
  await expectCompressedAnew(port, '/stream')
})

test('cors outside answers preflights, and marks replays and refusals for who asks', async () => {
  const allowedHeaders = [...CORS_HEADERS.allow, 'content-type']
  const outside = cors({ origin: true, allowedHeaders, exposedHeaders: [...CORS_HEADERS.expose] })
  const app = application(
    layer(),
    answering((context) => (context.body = 'x')),
  )
  await expectCors(await behind(outside, app))
})

test('pipelined requests are answered in their order', async () => {
  const port = await started(
    layer(),
    answering(async (context) => {
      await new Promise((resolve) => void setImmediate(resolve))
      context.body = context.path
    }),
  )
  await expectInOrder(port)
})

describe('a client that leaves finds the response later', () => {
  test.each([
    ['text', (context: Context) => (context.body = 'done')],
    ['a stream', (context: Context) => (context.body = Readable.from(['do', 'ne']))],
  ])('which is %s', async (_, handle) => {
    const departure = new Departure()
    const port = await started(
      layer(),
      answering(async (context) => {
        await departure.pass(context.req)
        handle(context)
      }),
    )
    const answer = await departure.answerAfter(port, events)
    expect([answer.replayed, answer.text]).toEqual([true, 'done'])
  })

  test('although it left while the body was streaming', async () => {
    const departure = new Departure()
    const port = await started(
      layer(),
      answering((context) => {
        async function* parts(): AsyncGenerator<string> {
          yield 'do'
          await departure.pass(context.req)
          yield 'ne'
        }
        context.body = Readable.from(parts())
      }),
    )
    const answer = await departure.answerAfter(port, events)
    expect([answer.replayed, answer.text]).toEqual([true, 'done'])
  })
})

test('a stream that is too large to keep ends with its client', async () => {
  const departure = new Departure()
  let source: Readable | undefined
  const port = await started(
    layer({ maxResponseBytes: 10 }),
    answering(async (context) => {
      await departure.pass(context.req)
      async function* parts(): AsyncGenerator<Buffer> {
        for (;;) yield Buffer.alloc(1000)
      }
      source = Readable.from(parts())
      context.body = source
    }),
  )
  expect((await departure.answerAfter(port, events)).text).toMatch(/response-not-replayable/)
  await expect.poll(() => source?.destroyed).toBe(true)
})

test('in a transaction a throw takes everything back, and what is done is done once', async () => {
  const { store, order, count } = ledger()
  const port = await started(
    layer({ store, transactional: true }),
    answering(async (context) => {
      const work = idempotencyOf(context)
      if (context.method === 'GET') context.body = await work.transaction(count)
      else {
        await work.transaction(order)
        context.status = 201
        context.body = 'ordered'
      }
    }),
  )
  await expectOneEffect(port)
})
