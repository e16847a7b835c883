import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { createReadStream, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/fastify.ts'
import { CORS_HEADERS } from '../../src/idempotency/index.ts'
import type { SqliteDatabase } from '../../src/stores/sqlite/index.ts'
import { deferred } from '../support/operations.ts'
import { tick, until } from '../client/support/wait.ts'
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

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

const { events, layer } = layers(idempotency<FastifyRequest>)

/** Starts an application whose plugins and routes `build` adds. */
async function started(build: (app: FastifyInstance) => unknown): Promise<number> {
  const app = fastify({ bodyLimit: 4_000_000 })
  await build(app)
  await app.ready()
  return serving((request, response) => app.routing(request, response))
}

/** With the layer in front. */
const kept = (build: (app: FastifyInstance) => unknown, options = {}): Promise<number> =>
  started(async (app) => {
    await app.register(layer(options))
    await build(app)
  })

const answering =
  (handle: Handler) =>
  (app: FastifyInstance): void =>
    void app.post('/', handle)

const answers: Readonly<Record<string, Handler>> = {
  'a returned object': async () => ({ order: 1 }),
  'returned text': async () => 'text',
  'an object': (_, reply) => reply.code(201).send({ order: 1 }),
  text: (_, reply) => reply.send('text'),
  HTML: (_, reply) => reply.type('text/html').send('<p>text</p>'),
  bytes: (_, reply) => reply.send(Buffer.from([0, 255, 254, 10])),
  'a typed array': (_, reply) => reply.send(new Uint16Array([1, 65_535])),
  '1 MiB': (_, reply) => reply.send(MIB),
  null: (_, reply) => reply.send(null),
  'the number 0': (_, reply) => reply.type('application/json').serializer(String).send(0),
  nothing: (_, reply) => reply.send(),
  'a 204': (_, reply) => reply.code(204).send(),
  'a 205': (_, reply) => reply.code(205).send(),
  'a 304': (_, reply) => reply.code(304).header('etag', '"1"').send(),
  'a file': (_, reply) => reply.type('application/json').send(createReadStream(FILE)),
  'a stream': (_, reply) => reply.send(Readable.from(['a', Buffer.of(0xff), 'b'])),
  'a stream that says how it is sent': (_, reply) =>
    reply.header('transfer-encoding', 'chunked').send(Readable.from(['a', 'b'])),
  'a web stream': (_, reply) => reply.send(new Blob(['a', 'b']).stream()),
  'a Response': (_, reply) => reply.send(new Response('fetched', { status: 202, headers: { 'x-a': 'b' } })),
  'a redirect': (_, reply) => reply.redirect('/orders/1', 303),
  'headers and cookies': (_, reply) =>
    reply
      .headers({ location: '/1', 'x-many': ['1', '2'] })
      .header('set-cookie', ['a=b', 'c=d'])
      .send('x'),
  'a later answer': (_, reply) => void setImmediate(() => void reply.send('later')),
  'a reason of its own': (_, reply) => {
    reply.raw.statusMessage = 'Done'
    return reply.send('x')
  },
  'a status that is a text': (_, reply) => {
    Reflect.set(reply.raw, 'statusCode', '201')
    return reply.send('x')
  },
  'what a handler writes by itself': (_, reply) => {
    reply.hijack()
    reply.raw.writeHead(201, { 'content-type': 'text/plain' })
    reply.raw.write('by ')
    setImmediate(() => reply.raw.end('hand'))
  },
}

test.each(Object.entries(answers))(
  '%s is sent and replayed as it is without the layer',
  async (_, handle) => {
    const build = answering(handle)
    await expectFaithful({ bare: await started(build), kept: await kept(build) }, {})
  },
)

test('what a schema makes of an object is what is recorded', async () => {
  const response = { 201: { type: 'object', properties: { order: { type: 'string' } } } }
  const build = (app: FastifyInstance): void =>
    void app.post('/', { schema: { response } }, (_, reply) => reply.code(201).send({ order: 1, secret: 2 }))
  const expected = await expectFaithful({ bare: await started(build), kept: await kept(build) }, {})
  expect(expected.text).toBe('{"order":"1"}')
})

test('a HEAD request is not protected, and answered by its GET route', async () => {
  const port = await kept((app) => app.get('/', (_, reply) => reply.send('text')))
  const answer = await ask(port, { method: 'HEAD' })
  expect([answer.status, answer.headers['content-length'], answer.text]).toEqual([200, '4', ''])
  expect(answer.headers['idempotency-status']).toBe('ignored')
})

const throwing: Readonly<Record<string, Handler>> = {
  'a throw': () => {
    throw new Error('broken')
  },
  'a rejection': async () => {
    throw new Error('broken')
  },
  'a rejection with something else': async () => {
    // oxlint-disable-next-line typescript/only-throw-error -- what a handler may do
    throw { message: 'broken' }
  },
  'an error that is sent': (_, reply) => reply.send(new Error('broken')),
  'a later error': (_, reply) => void setImmediate(() => void reply.send(new Error('broken'))),
  'a stream that fails': (_, reply) => {
    const stream = new Readable({ read: () => stream.destroy(new Error('broken')) })
    return reply.send(stream)
  },
}

describe.each(Object.entries(throwing))('%s gives the key back', (_, handle) => {
  const handled = (error: unknown, __: FastifyRequest, reply: FastifyReply): unknown =>
    reply.code(502).send(`handled: ${Object(error).message}`)

  test('when Fastify answers', async () => {
    expect((await expectReleased(await kept(answering(handle)), {})).status).toBe(500)
  })

  test('when the application has an error handler', async () => {
    const port = await kept((app) => answering(handle)(app.setErrorHandler(handled)))
    expect((await expectReleased(port, {})).text).toBe('handled: broken')
  })

  test('when the scope of the route has an error handler', async () => {
    const port = await kept((app) =>
      app.register(async (inner) => answering(handle)(inner.setErrorHandler(handled))),
    )
    expect((await expectReleased(port, {})).text).toBe('handled: broken')
  })

  test('when the route has an error handler', async () => {
    const port = await kept((app) => app.post('/', { errorHandler: handled }, handle))
    expect((await expectReleased(port, {})).text).toBe('handled: broken')
  })
})

test('an error when half of a response is written gives the key back, and is told once', async () => {
  let runs = 0
  const handle: Handler = async (_, reply) => {
    if (++runs > 1) return `run ${runs}`
    reply.raw.write('half')
    throw new Error('no more')
  }
  const port = await kept(answering(handle))
  await expect(ask(port)).rejects.toThrow()
  await expect.poll(() => events.map(({ type }) => type)).toEqual(['acquired', 'released'])
  await ask(port, { key: 'another' })
  expect((await ask(port)).text).toBe('run 3')
  expect(events.map(({ type }) => type)).not.toContain('late-error')
})

describe.each(
  Object.entries<Handler>({
    throws: (_, reply) => {
      reply.code(201).send('first')
      throw new Error('too late')
    },
    rejects: async (_, reply) => {
      reply.code(201).send('first')
      throw new Error('too late')
    },
    'sends again': (_, reply) => {
      reply.code(201).send('first')
      reply.code(202).send('second')
    },
    'resolves to something else': async (_, reply) => {
      reply.code(201).send('first')
      return 'second'
    },
    'resolves to nothing': async (_, reply) => {
      reply.code(201).send('first')
    },
  }),
)('what a handler sends is its response, although it then %s', (how, handle) => {
  const handled = (_: unknown, __: FastifyRequest, reply: FastifyReply): unknown => reply.code(502).send('x')
  const build = (app: FastifyInstance): void => answering(handle)(app.setErrorHandler(handled))

  test('with a key', async () => {
    await expectFaithful({ bare: await started(build), kept: await kept(build) }, {})
    const types = events.map(({ type }) => type)
    expect(types.includes('late-error')).toBe(how === 'throws' || how === 'rejects')
    expect(types).not.toContain('released')
  })

  test('without one', async () => {
    const answer = await ask(await kept(build), { key: null })
    expect([answer.status, answer.text]).toEqual([201, 'first'])
  })
})

test('a handler that takes longer than Fastify waits is not done again beside itself', async () => {
  const end = deferred<string>()
  let runs = 0
  const port = await kept((app) =>
    app.post('/', { handlerTimeout: 10 }, () => {
      runs++
      return end.promise
    }),
  )
  const answer = await expectReplayed(port, {})
  expect([answer.status, answer.headers['idempotency-status'], runs]).toEqual([503, 'stored', 1])
  end.resolve('too late')
  expect((await ask(port)).status).toBe(503)
})

test('a status that can not be sent is an error of the handler', async () => {
  const build = answering((_, reply) => {
    Reflect.set(reply.raw, 'statusCode', 42)
    return reply.send('x')
  })
  const answer = await expectReleased(await kept(build), {})
  expect([answer.status, answer.text]).toEqual([500, (await ask(await started(build))).text])
  expect(events.map(({ type }) => type)).toEqual(['acquired', 'released', 'acquired', 'released'])
})

test('an error of a hook, a body that is refused and a route that nobody has give the key back', async () => {
  const schema = { body: { type: 'object', required: ['b'] } }
  const port = await kept((app) => {
    app.post('/schema', { schema }, () => 'never')
    const preHandler = async (): Promise<void> => {
      throw Object.assign(new Error('no more of them'), { statusCode: 409 })
    }
    app.post('/hook', { preHandler }, () => 'never')
  })
  expect((await expectReleased(port, { key: '1', path: '/schema', ...JSON_BODY })).status).toBe(400)
  expect((await expectReleased(port, { key: '2', path: '/schema', ...JSON_BODY, body: '{' })).status).toBe(
    400,
  )
  expect((await expectReleased(port, { key: '3', path: '/hook' })).text).toMatch(/no more of them/)
  expect((await expectReleased(port, { key: '4', path: '/nowhere' })).status).toBe(404)
})

test('an error after began() has its error page saved, and one that a handler answers with success, too', async () => {
  const port = await kept((app) => {
    app.setErrorHandler((_, request, reply) =>
      reply.code(request.url === '/fine' ? 200 : 500).send('dealt with'),
    )
    app.post('/began', (request) => {
      idempotencyOf(request).began()
      throw new Error('broken')
    })
    app.post('/fine', () => {
      throw new Error('nothing of importance')
    })
  })
  const began = await expectReplayed(port, { path: '/began', key: '1' })
  expect([began.text, began.headers['idempotency-status']]).toEqual(['dealt with', 'stored'])
  expect((await expectReplayed(port, { path: '/fine', key: '2' })).status).toBe(200)
})

describe('the body', () => {
  const echo = answering((request) => request.body)

  test('is left to the parser, which always comes after', async () => {
    const port = await kept(echo)
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('is compared by what a hook before has kept of it', async () => {
    const port = await started(async (app) => {
      app.addHook('onRequest', async ({ raw }) => {
        const chunks: Buffer[] = []
        for await (const chunk of raw) chunks.push(Buffer.from(chunk))
        Object.assign(raw, { rawBody: Buffer.concat(chunks) })
      })
      await app.register(layer())
      app.addHook('preParsing', async ({ raw }) => Readable.from([Reflect.get(raw, 'rawBody')]))
      echo(app)
    })
    const question = { ...JSON_BODY, headers: { ...JSON_BODY.headers, 'content-length': '7' } }
    expect((await expectReplayed(port, question)).text).toBe('{"a":1}')
    expect((await ask(port, { ...question, body: '{"a":2}' })).status).toBe(422)
  })

  test('that was read and not kept is refused, with what to do: to the client, and once to the log', async () => {
    const heard = warnings()
    const port = await started(async (app) => {
      app.addHook('onRequest', async ({ raw }) => {
        for await (const _ of raw);
      })
      await app.register(layer({ policyUrl: 'https://a.test/policy' }))
      echo(app)
    })
    await ask(port, JSON_BODY)
    const answer = await ask(port, JSON_BODY)
    expect([answer.status, answer.headers['link']]).toEqual([
      500,
      '<https://a.test/policy>; rel="describedby"',
    ])
    expect(answer.text).toMatch(/before whatever reads the body.*rawBody/)
    expect(heard).toEqual([expect.stringMatching(/before whatever reads the body in an onRequest hook/)])
  })
})

test('requests that inject makes are no different', async () => {
  const app = fastify()
  await app.register(layer())
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  answering((request, reply) => reply.code(201).send(request.body))(app)
  const inject = (payload: Buffer | string, key = 'k') =>
    app.inject({ method: 'POST', url: '/', headers: { 'idempotency-key': key }, payload })
  const first = await inject(Buffer.of(0, 255))
  const again = await inject(Buffer.of(0, 255))
  expect([first.statusCode, ...first.rawPayload]).toEqual([201, 0, 255])
  expect([again.statusCode, ...again.rawPayload]).toEqual([201, 0, 255])
  expect(again.headers['idempotent-replayed']).toBe('true')
  expect((await inject(Buffer.of(0))).statusCode).toBe(422)
  expect((await inject('pay 1', 'text')).statusCode).toBe(201)
  expect((await inject(Buffer.from('pay 1'), 'text')).headers['idempotent-replayed']).toBe('true')
  expect((await inject('pay 1000', 'text')).statusCode).toBe(422)
  await app.close()
})

test('only the scope that it is registered in is protected', async () => {
  let runs = 0
  const port = await started(async (app) => {
    await app.register(async (inner) => {
      await inner.register(layer())
      inner.post('/inside', () => `run ${++runs}`)
    })
    app.post('/outside', () => `run ${++runs}`)
  })
  expect((await expectReplayed(port, { path: '/inside' })).text).toBe('run 1')
  expect((await expectReleased(port, { path: '/outside' })).text).toBe('run 2')
})

test('the whole path is the identity, whatever is rewritten', async () => {
  const app = fastify({ rewriteUrl: ({ url = '' }) => url.replace(/^\/[ab]/, '') })
  await app.register(layer())
  app.post('/orders', (request) => request.url)
  await app.ready()
  const port = await serving((request, response) => app.routing(request, response))
  expect((await expectReplayed(port, { path: '/a/orders' })).text).toBe('/orders')
  expect((await ask(port, { path: '/b/orders' })).status).toBe(422)
})

test('what a hook outside sets is its own on every answer, and not stored', async () => {
  let serial = 0
  const port = await started(async (app) => {
    app.addHook('onRequest', async (_, reply) => void reply.header('x-before', String(++serial)))
    await app.register(layer())
    app.addHook('onSend', async (_, reply) => void reply.header('x-after', String(serial)))
    answering(() => 'x')(app)
  })
  const seen = [await ask(port), await ask(port)].map(({ headers }) => [
    headers['x-before'],
    headers['x-after'],
  ])
  expect(seen).toEqual([
    ['1', '1'],
    ['2', '2'],
  ])
})

test('what an onSend hook after the plugin compresses is not stored', async () => {
  const port = await kept((app) => {
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.headers['accept-encoding'] !== 'gzip') return payload
      reply.header('content-encoding', 'gzip').removeHeader('content-length')
      return gzipSync(payload as string | Buffer)
    })
    app.post('/json', () => ({ text: 'a'.repeat(500) }))
    app.post('/stream', (_, reply) => reply.type('text/plain').send(Readable.from(['a'.repeat(500), 'b'])))
  })
  await expectCompressedAnew(port, '/json')
  await expectCompressedAnew(port, '/stream')
})

test('cors before the plugin answers preflights, and marks replays and refusals for who asks', async () => {
  const port = await started(async (app) => {
    app.addHook('onRequest', async ({ method, headers }, reply) => {
      reply.header('access-control-allow-origin', headers.origin)
      reply.header('access-control-expose-headers', CORS_HEADERS.expose.join())
      if (method !== 'OPTIONS') return undefined
      return reply.header('access-control-allow-headers', CORS_HEADERS.allow.join()).code(204).send()
    })
    await app.register(layer())
    app.options('/', () => 'never')
    answering(() => 'x')(app)
  })
  await expectCors(port)
})

test('pipelined requests are answered in their order', async () => {
  const port = await kept((app) => app.post('/:name', async ({ url }) => url))
  await expectInOrder(port)
})

describe('a client that leaves finds the response later', () => {
  test.each<[string, Handler, expected: string]>([
    ['text', () => 'done', 'done'],
    ['a stream', (_, reply) => reply.send(Readable.from(['do', 'ne'])), 'done'],
    ['a file', (_, reply) => reply.send(createReadStream(FILE)), readFileSync(FILE, 'utf8')],
  ])('which is %s', async (_, handle, expected) => {
    const departure = new Departure()
    const port = await kept(
      answering(async (request, reply) => {
        await departure.pass(request.raw)
        return handle(request, reply)
      }),
    )
    const answer = await departure.answerAfter(port, events)
    expect([answer.replayed, answer.text]).toEqual([true, expected])
  })

  test('although it left while the body was streaming', async () => {
    const departure = new Departure()
    const port = await kept(
      answering((request, reply) => {
        async function* parts(): AsyncGenerator<string> {
          yield 'do'
          await departure.pass(request.raw)
          yield 'ne'
        }
        return reply.send(Readable.from(parts()))
      }),
    )
    const answer = await departure.answerAfter(port, events)
    expect([answer.replayed, answer.text]).toEqual([true, 'done'])
  })
})

test('a request that was cut off in its body is not handled, not without the layer either', async () => {
  let [runs, left] = [0, 0]
  const port = await kept((app) => {
    app.addHook('onRequestAbort', async (_request) => void left++)
    // Who gets the stream itself.
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.post('/', async () => `run ${++runs}`)
  })
  const socket = connect(port, '127.0.0.1')
  const head = ['POST / HTTP/1.1', 'Host: a', 'Idempotency-Key: k', 'Content-Type: a/b', 'Content-Length: 4']
  socket.write([...head, '', 'fi'].join('\r\n'))
  // Answered later than that has arrived.
  await ask(port, { path: '/none' })
  socket.destroy()
  await until(() => left === 1)
  await tick()
  expect((await ask(port, { body: 'five', headers: { 'content-type': 'a/b' } })).text).toBe('run 1')
})

describe('in a transaction', () => {
  test.each<[string, (reply: FastifyReply) => unknown]>([
    ['returned', (reply) => (reply.code(201), 'ordered')],
    ['sent', (reply) => void reply.code(201).send('ordered')],
    // Who returns the reply would wait for itself.
    ['sent, and the reply returned', (reply) => reply.code(201).send('ordered')],
  ])('a throw takes everything back, and what is done is done once: %s', async (_, respond) => {
    const { store, order, count } = ledger()
    const heard: string[] = []
    const port = await kept(
      (app) => {
        app.addHook('onError', async (_request, _reply, { message }) => void heard.push(message))
        app.get('/', (request) => idempotencyOf(request).transaction(count))
        app.post('/', (request, reply) =>
          idempotencyOf(request).transaction(async (db: SqliteDatabase) => {
            order(db)
            return respond(reply)
          }),
        )
      },
      { store, transactional: true },
    )
    await expectOneEffect(port)
    expect((await ask(port, { key: null })).text).toBe('ordered')
    expect(heard).toEqual(['out of stock'])
  })

  test.each(['k', null])(
    'an error handler may answer with nothing after a reply was sent, key %s',
    async (key) => {
      const { store } = ledger()
      let failed = false
      const port = await kept(
        (app) => {
          app.setErrorHandler((_error, _request, reply) => void reply.code(500).send())
          app.addHook('onSend', async () => {
            if (failed) return
            failed = true
            throw new Error('a hook failed')
          })
          app.post('/', async (request, reply) => {
            await idempotencyOf(request).transaction(async () => void reply.send({ made: 1 }))
            return reply
          })
        },
        { store, transactional: true },
      )
      expect(await ask(port, { key })).toMatchObject({ status: 500, text: '' })
    },
  )

  test.each(['k', null])('what was taken back leaves no reason phrase, key %s', async (key) => {
    const { store } = ledger()
    const handle: Handler = async (request, reply) => {
      const work = idempotencyOf(request).transaction(async () => {
        reply.raw.statusMessage = 'Order Made'
        reply.code(201).send('made')
        throw new Error('out of stock')
      })
      await work.catch(() => reply.code(409).send('not made'))
      return reply
    }
    const port = await kept(answering(handle), { store, transactional: true })
    expect(await ask(port, { key })).toMatchObject({ status: 409, message: 'Conflict', text: 'not made' })
  })
})
