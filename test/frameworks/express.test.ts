import compression from 'compression'
import cors from 'cors'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import express4 from 'express4'
import { createReadStream, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/express.ts'
import { idempotency as nodeLayer } from '../../src/idempotency/frameworks/node.ts'
import { CORS_HEADERS, type IdempotencyOptions } from '../../src/idempotency/index.ts'
import type { IdempotencyStore } from '../../src/idempotency/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { faultyStore } from '../conformance/faulty-store.ts'
import { deferred } from '../support/operations.ts'
import { hasShape } from '../support/shapes.ts'
import {
  ask,
  Departure,
  expectCompressedAnew,
  expectCors,
  expectFaithful,
  expectOneEffect,
  expectReleased,
  expectReplayed,
  FILE,
  JSON_BODY,
  layers,
  ledger,
  MIB,
  pipelined,
  serving,
  warnings,
} from './support.ts'

/** Express 4 does not look at what a handler returns. */
function passing(work: Promise<unknown>, next: NextFunction): void {
  // oxlint-disable-next-line promise/no-callback-in-promise -- how Express is told of an error
  work.catch(next)
}

/** What one handler finds. */
interface Noted {
  readonly request: Request
  readonly response: Response
  readonly names: readonly string[]
  readonly shapes: readonly boolean[]
}

type Handler = (request: Request, response: Response, next: NextFunction) => unknown

const answers: Readonly<Record<string, Handler>> = {
  'res.json': (_, response) => response.status(201).json({ order: 1 }),
  'res.json of null': (_, response) => response.json(null),
  'res.jsonp': (_, response) => response.jsonp({ order: 1 }),
  'res.send of text': (_, response) => response.send('text'),
  'res.send of bytes': (_, response) => response.send(Buffer.from([0, 255, 254, 10])),
  'res.send of 1 MiB': (_, response) => response.send(MIB),
  'res.send of nothing': (_, response) => response.send(),
  'res.sendStatus(202)': (_, response) => response.sendStatus(202),
  'a 204': (_, response) => response.status(204).end(),
  'a 205': (_, response) => response.status(205).send('never'),
  'a 304': (_, response) => response.status(304).set('etag', '"1"').end(),
  'res.sendFile': (_, response) => response.sendFile(FILE),
  'res.download': (_, response) => response.download(FILE, 'order.json'),
  'res.redirect': (_, response) => response.redirect(303, '/orders/1'),
  'res.render': (_, response) => response.render('page', { order: 1 }),
  'res.format': (_, response) => response.format({ text: () => response.send('as text') }),
  'res.links, location, cookie, vary': (_, response) =>
    response.links({ next: '/2' }).location('/1').cookie('a', 'b').vary('origin').send('x'),
  'write and end': (_, response) => {
    response.write('a')
    response.write(Buffer.of(0xff))
    response.end('c')
  },
  pipe: (_, response) => createReadStream(FILE).pipe(response.type('json')),
  pipeline: (_, response) => pipeline(Readable.from(['a', 'b']), response),
  'a later answer': (_, response) => void setImmediate(() => response.send('later')),
}

describe.each([
  ['express 5', express],
  ['express 4', express4],
])('%s', (version, create) => {
  const { events, layer } = layers(idempotency<Request>)

  /** An application that is quiet about its errors, and has the layer in front. */
  function application(options: Partial<IdempotencyOptions<Request>> = {}): Express {
    return quiet().use(layer(options))
  }

  function quiet(): Express {
    return create().set('env', 'test')
  }

  const handled = (status: number) => {
    return (error: Error, _: Request, response: Response, __: NextFunction) =>
      response.status(status).send(`handled: ${error.message}`)
  }

  test.each(Object.entries(answers))(
    '%s is sent and replayed as it is without the layer',
    async (_, handle) => {
      const build = (app: Express): Express => {
        app.engine('html', (_path, { order }: { order?: number }, done) =>
          done(null, `<p>order ${order}</p>`),
        )
        app.set('view engine', 'html')
        app.set('views', fileURLToPath(new URL('views', import.meta.url)))
        return app.post('/', handle)
      }
      const twins = { bare: await serving(build(quiet())), kept: await serving(build(application())) }
      await expectFaithful(twins, {})
    },
  )

  test('a HEAD request is not protected, and answered by its GET route', async () => {
    const port = await serving(application().get('/', (_, response) => response.send('text')))
    const answer = await ask(port, { method: 'HEAD' })
    expect([answer.status, answer.headers['content-length'], answer.text]).toEqual([200, '4', ''])
    expect(answer.headers['idempotency-status']).toBe('ignored')
  })

  test('a route that nobody has gives the key back', async () => {
    const answer = await expectReleased(await serving(application()), { path: '/nowhere' })
    expect([answer.status, answer.text.includes('Cannot POST /nowhere')]).toEqual([404, true])
  })

  const throwing: Readonly<Record<string, Handler>> = {
    'a throw': () => {
      throw new Error('broken')
    },
    'next(error)': (_, __, next) => next(new Error('broken')),
    'a later next(error)': (_, __, next) => void setImmediate(() => next(new Error('broken'))),
    ...(version === 'express 5' && {
      'a rejection': async () => {
        throw new Error('broken')
      },
    }),
  }

  describe.each(Object.entries(throwing))('%s gives the key back', (_, handle) => {
    test('when the application has an error handler', async () => {
      const port = await serving(application().post('/', handle).use(handled(502)))
      expect((await expectReleased(port, {})).text).toMatch(/^handled/)
    })

    test('when Express answers', async () => {
      const port = await serving(application().post('/', handle))
      expect((await expectReleased(port, {})).text).toMatch(/<!DOCTYPE html>/)
    })

    test('when its router has an error handler', async () => {
      const router = create.Router().post('/', handle).use(handled(502))
      const port = await serving(application().use('/orders', router))
      expect((await expectReleased(port, { path: '/orders' })).text).toMatch(/^handled/)
    })

    test('when its route has an error handler', async () => {
      const port = await serving(application().post('/', handle, handled(502)))
      expect((await expectReleased(port, {})).text).toMatch(/^handled/)
    })

    test('when a mounted application has an error handler', async () => {
      const inner = quiet().post('/', handle).use(handled(502))
      const port = await serving(application().use('/orders', inner))
      expect((await expectReleased(port, { path: '/orders' })).text).toMatch(/^handled/)
    })

    test('when the layer stands in a router', async () => {
      const router = create.Router().use(layer()).post('/', handle)
      const port = await serving(quiet().use('/orders', router))
      expect((await expectReleased(port, { path: '/orders' })).text).toMatch(/<!DOCTYPE html>/)
    })

    test('when a mounted application has the layer, and the outer one the error handler', async () => {
      const inner = application().post('/', handle)
      const port = await serving(quiet().use('/orders', inner).use(handled(502)))
      expect((await expectReleased(port, { path: '/orders' })).text).toMatch(/^handled/)
    })
  })

  test('a file that is not there gives the key back', async () => {
    const app = application().post('/', (_, response) => response.sendFile('/nowhere/at/all'))
    const port = await serving(app.use(handled(502)))
    expect((await expectReleased(port, {})).text).toMatch(/^handled: ENOENT/)
  })

  test('an error after began() has its error page saved, and one that a handler answers with success, too', async () => {
    const app = application()
    app.post('/began', (request) => {
      idempotencyOf(request).began()
      throw new Error('broken')
    })
    app.post('/fine', () => {
      throw new Error('nothing of importance')
    })
    app.use('/began', handled(500)).use('/fine', handled(200))
    const port = await serving(app)
    expect((await expectReplayed(port, { path: '/began', key: '1' })).text).toBe('handled: broken')
    expect((await expectReplayed(port, { path: '/fine', key: '2' })).status).toBe(200)
  })

  const unfinished: Readonly<Record<string, Handler>> = {
    'passed on': (_, response, next) => {
      response.write('half')
      next(new Error('no more'))
    },
    'passed on later': (_, response, next) => {
      response.write('half')
      setImmediate(() => next(new Error('no more')))
    },
    'passed on when its client has left': (request, response, next) => {
      response.write('half')
      request.socket.once('close', () => setImmediate(() => next(new Error('no more'))))
      request.socket.destroy()
    },
    'of a stream': (_, response, next) => {
      const source = Readable.from(
        (function* () {
          yield 'half'
          throw new Error('no more')
        })(),
      )
      passing(pipeline(source, response), next)
    },
  }
  describe.each(Object.entries(unfinished))('an error %s when half of a response is written', (_, handle) => {
    const start = (began: boolean): Promise<number> => {
      let runs = 0
      return serving(
        application().post('/', (request, response, next) => {
          if (began) idempotencyOf(request).began()
          if (++runs === 1) handle(request, response, next)
          else response.send(`run ${runs}`)
        }),
      )
    }

    test('gives the key back', async () => {
      const port = await start(false)
      await expect(ask(port)).rejects.toThrow()
      await expect.poll(() => events.map(({ type }) => type)).toEqual(['acquired', 'released'])
      expect((await ask(port)).text).toBe('run 2')
    })

    test('is saved after began()', async () => {
      const port = await start(true)
      await expect(ask(port)).rejects.toThrow()
      await expect.poll(() => events.map(({ type }) => type)).toEqual(['acquired', 'completed'])
      expect(await ask(port)).toMatchObject({ status: 500, replayed: true })
    })
  })

  test('a response that is still being recorded when its handler fails is not lost, and the error is told once', async () => {
    const store = memoryStore()
    const recording = deferred<undefined>()
    const failed = deferred<undefined>()
    const slow: IdempotencyStore = {
      ...faultyStore(store),
      complete: (lease, response) => recording.promise.then(() => store.complete(lease, response)),
    }
    const app = application({ store: slow }).use(express.Router())
    app.post('/', (_, response, next) => {
      response.json({ order: 1 })
      next(new Error('too late'))
      failed.resolve(undefined)
    })
    const answer = ask(await serving(app))
    await failed.promise
    await new Promise(setImmediate)
    recording.resolve(undefined)
    expect(await answer).toMatchObject({ status: 200, text: '{"order":1}' })
    expect(events.map(({ type }) => type)).toEqual(['acquired', 'completed', 'late-error'])
  })

  test.each([undefined, null, '', 'route', 'router'])(
    'a scope that throws %j lets nobody past the layer',
    async (thrown) => {
      let runs = 0
      const app = application({ scope: () => Promise.reject(thrown) }).post('/', (_, response) => {
        response.send(`run ${++runs}`)
      })
      expect((await ask(await serving(app))).status).toBe(500)
      expect(runs).toBe(0)
    },
  )

  test.each(['outside', 'inside'])(
    'a timeout %s, as connect-timeout has it, has nothing done again',
    async (where) => {
      let runs = 0
      let expire = (): void => {}
      const timeout = (request: Request, _: Response, next: NextFunction): void => {
        expire = () => {
          Reflect.set(request, 'timedout', true)
          next(Object.assign(new Error('Response timeout'), { status: 503 }))
        }
        next()
      }
      const app = where === 'outside' ? quiet().use(timeout, layer()) : application().use(timeout)
      app.post('/', () => {
        runs++
        setImmediate(expire)
      })
      const answer = await expectReplayed(await serving(app), {})
      expect([answer.status, answer.headers['idempotency-status'], runs]).toEqual([503, 'stored', 1])
    },
  )

  test('an error response that a handler means is saved', async () => {
    const port = await serving(application().post('/', (_, response) => response.status(500).send('meant')))
    expect((await expectReplayed(port, {})).headers['idempotency-status']).toBe('stored')
  })

  test('a route that is added after the first request is no different', async () => {
    const app = application().post('/', (_, response) => response.send('first'))
    const port = await serving(app)
    await ask(port)
    app.post('/late', () => {
      throw new Error('broken')
    })
    app.use(handled(502))
    expect((await expectReleased(port, { path: '/late', key: 'other' })).text).toBe('handled: broken')
  })

  test('mounted before the parser, it leaves the body to it', async () => {
    const app = application().use(create.json())
    const port = await serving(app.post('/', (request, response) => response.json(request.body)))
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a":2}' })).status).toBe(422)
  })

  test('a body that the parser refuses gives the key back', async () => {
    const port = await serving(application().use(create.json()))
    expect((await expectReleased(port, { ...JSON_BODY, body: '{' })).status).toBe(400)
  })

  test('mounted after the parser, it refuses to guess, and says what to do: to the client, and once to the log', async () => {
    const heard = warnings()
    let runs = 0
    const app = quiet().use(create.json(), layer())
    const port = await serving(app.post('/', (_, response) => response.send(`run ${++runs}`)))
    await ask(port, JSON_BODY)
    const answer = await ask(port, JSON_BODY)
    expect(answer.status).toBe(500)
    expect(answer.text).toMatch(/before whatever reads the body.*rawBody/)
    expect(runs).toBe(0)
    expect(heard).toEqual([expect.stringMatching(/before express\.json\(\).*verify.*rawBody/)])
    // What the parser did not read is still there.
    const text = { body: 'text', headers: { 'content-type': 'text/plain' } }
    expect((await expectReplayed(port, text)).text).toBe('run 1')
  })

  test('mounted after a parser that keeps the bytes, it compares those', async () => {
    const verify = (request: object, _: unknown, rawBody: Buffer): unknown =>
      Object.assign(request, { rawBody })
    const app = quiet().use(create.json({ verify }), layer())
    const port = await serving(app.post('/', (request, response) => response.json(request.body)))
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('what compression outside makes of a response is not stored', async () => {
    const app = quiet().use(compression({ threshold: 0 }), layer())
    app.post('/json', (_, response) => response.json({ text: 'a'.repeat(500) }))
    app.post('/written', (_, response) => {
      response.type('txt').write('a'.repeat(500))
      response.end('b')
    })
    app.post('/file', (_, response) => response.sendFile(FILE))
    const port = await serving(app)
    await expectCompressedAnew(port, '/json')
    await expectCompressedAnew(port, '/written?')
    await expectCompressedAnew(port, '/file')
  })

  test('the cors package outside answers preflights, and marks replays and refusals for who asks', async () => {
    const allowedHeaders = [...CORS_HEADERS.allow, 'content-type']
    const outside = cors({ origin: true, allowedHeaders, exposedHeaders: [...CORS_HEADERS.expose] })
    const app = quiet().use(outside, layer())
    await expectCors(await serving(app.post('/', (_, response) => response.send('x'))))
  })

  test('the whole path is the identity, wherever a router is mounted', async () => {
    const router = create.Router().use(layer())
    router.post('/orders', (request, response) => response.send(request.originalUrl))
    const port = await serving(quiet().use('/a', router).use('/b', router))
    expect((await expectReplayed(port, { path: '/a/orders' })).text).toBe('/a/orders')
    expect((await ask(port, { path: '/b/orders' })).status).toBe(422)
  })

  test('and where a listener for node:http is mounted, too', async () => {
    const listener = nodeLayer({ store: memoryStore() })((_, response) => response.end('done'))
    const port = await serving(quiet().use('/a', listener).use('/b', listener))
    expect((await ask(port, { path: '/a/orders' })).status).toBe(200)
    expect((await ask(port, { path: '/a/orders' })).replayed).toBe(true)
    expect((await ask(port, { path: '/b/orders' })).status).toBe(422)
  })

  test('pipelined requests are answered in their order, a duplicate among them', async () => {
    let runs = 0
    const app = application().post('/', (_, response) => {
      runs++
      setImmediate(() => response.send('done'))
    })
    const port = await serving(app)
    const keys = ['1', '2', '1', '3']
    const parts = await pipelined(
      port,
      keys.map((key) => ({ key })),
    )
    expect(runs).toBe(3)
    const statuses = parts.map((part) => part.slice(9, 12))
    // The duplicate came while the first was running, or after it.
    expect([
      ['200', '200', '409', '200'],
      ['200', '200', '200', '200'],
    ]).toContainEqual(statuses)
  })

  const leaving: Readonly<Record<string, readonly [Handler, expected: string]>> = {
    'res.send': [(_, response) => response.send('done'), 'done'],
    'res.sendFile': [(_, response) => response.sendFile(FILE), readFileSync(FILE, 'utf8')],
    pipeline: [(_, response) => pipeline(Readable.from(['do', 'ne']), response), 'done'],
  }

  test.each(Object.entries(leaving))(
    'a client that leaves before %s finds the response later',
    async (_, [handle, expected]) => {
      const departure = new Departure()
      const app = application().post('/', (request, response, next) => {
        passing(
          departure.pass(request).then(() => handle(request, response, next)),
          next,
        )
      })
      const answer = await departure.answerAfter(await serving(app), events)
      expect([answer.replayed, answer.text]).toEqual([true, expected])
    },
  )

  test('the layer leaves request and response what they are, without a shape where each would get its own', async () => {
    const seen: Noted[] = []
    const note: Handler = (request, response, next) => {
      const names = Object.keys(request)
      const index = seen.push({ request, response, names, shapes: [request, response].map(hasShape) })
      Object.assign(request, { [`added${index}`]: index })
      Object.assign(response.locals, { [`added${index}`]: index })
      next()
    }
    const app = quiet().use(note).use(layer()).use(note)
    app.post('/', (request, response) => {
      const own = Object.entries(request).filter(([name]) => name.startsWith('added'))
      response.json([own, response.locals])
    })
    const { text } = await ask(await serving(app))
    const added = { added1: 1, added2: 2 }
    expect(JSON.parse(text)).toEqual([Object.entries(added), added])
    const [before, after] = seen
    if (before === undefined || after === undefined) expect.unreachable()
    expect([after.request === before.request, after.response === before.response]).toEqual([true, true])
    // The layer itself adds what it keeps a body by.
    expect(after.names.slice(0, before.names.length + 1)).toEqual([...before.names, 'added1'])
    const isNew = Number.parseInt(process.versions.node, 10) >= 24
    expect([before.shapes, after.shapes]).toEqual([
      [true, true],
      [isNew, isNew],
    ])
  })

  test('in a transaction a throw takes everything back, and what is done is done once', async () => {
    const { store, order, count } = ledger()
    const app = application({ store, transactional: true })
    app.get('/', (request, response, next) => {
      const counting = idempotencyOf(request).transaction(count)
      passing(
        counting.then((orders) => response.send(orders)),
        next,
      )
    })
    app.post('/', (request, response, next) => {
      const ordering = idempotencyOf(request).transaction<void, Parameters<typeof order>[0]>((db) => {
        order(db)
        response.status(201).send('ordered')
      })
      passing(ordering, next)
    })
    await expectOneEffect(await serving(app.use(handled(500))))
  })
})

test.each<[string, unknown]>([
  ['an Express whose errors can not be seen', Object.assign(() => {}, { router: { stack: [{}] } })],
  ['what takes middleware like Express', undefined],
])('%s is told of once', async (_, app) => {
  const heard = warnings()
  const middleware = idempotency({ store: memoryStore() })
  const port = await serving((request, response) => {
    Object.assign(request, { app })
    middleware(request, response, () => response.end('x'))
  })
  await ask(port, { key: '1' })
  await ask(port, { key: '2' })
  expect(heard).toEqual([expect.stringMatching(/does not know this version of Express/)])
})
