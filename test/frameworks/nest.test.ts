/** Decorators are calls here, since tests run without a compiler that knows them. */
import 'reflect-metadata'
import {
  Body,
  ConflictException,
  Controller,
  Header,
  HttpCode,
  Module,
  Post,
  Redirect,
  Req,
  RequestTimeoutException,
  Res,
  StreamableFile,
  type ArgumentsHost,
  type CallHandler,
  type INestApplication,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import compression from 'compression'
import type { Request, Response } from 'express'
import type { FastifyReply } from 'fastify'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { catchError, NEVER, of, throwError, timeout } from 'rxjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/nest.ts'
import { CORS_HEADERS } from '../../src/idempotency/index.ts'
import {
  ask,
  Departure,
  expectCompressedAnew,
  expectCors,
  expectFaithful,
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

interface Route {
  readonly path?: string
  readonly handle: (request: Request, body: unknown, response: Response) => unknown
  /** Whether the handler responds by itself. */
  readonly byItself?: boolean
  readonly decorators?: readonly MethodDecorator[]
}

const { events, layer } = layers(idempotency<Request>)

function moduleOf(routes: readonly Route[]): new () => object {
  // oxlint-disable-next-line typescript/no-extraneous-class -- its methods are added below
  class Orders {}
  const { prototype } = Orders
  for (const [index, { path = '/', handle, byItself = false, decorators = [] }] of routes.entries()) {
    const name = `route${index}`
    const descriptor = {
      value: (request: Request, body: unknown, response: Response) => handle(request, body, response),
    }
    Object.defineProperty(prototype, name, descriptor)
    for (const decorate of [Post(path), ...decorators]) decorate(prototype, name, descriptor)
    Req()(prototype, name, 0)
    Body()(prototype, name, 1)
    if (byItself) Res()(prototype, name, 2)
  }
  Controller()(Orders)
  // oxlint-disable-next-line typescript/no-extraneous-class -- what a module of Nest is
  class App {}
  Module({ controllers: [Orders] })(App)
  return App
}

async function started(
  routes: readonly Route[],
  configure: (app: INestApplication) => unknown = () => {},
  rawBody = true,
): Promise<number> {
  const app = await NestFactory.create(moduleOf(routes), { rawBody, logger: false })
  configure(app)
  await app.init()
  onTestFinished(() => app.close())
  return serving(app.getHttpAdapter().getInstance())
}

/** As `started`, on Fastify in place of Express. */
async function startedOnFastify(
  routes: readonly Route[],
  configure: (app: INestApplication) => unknown = () => {},
): Promise<number> {
  const adapter = new FastifyAdapter()
  await readied(adapter, routes, configure)
  return serving((request, response) => adapter.getInstance().routing(request, response))
}

async function readied(
  adapter: FastifyAdapter,
  routes: readonly Route[],
  configure: (app: INestApplication) => unknown,
): Promise<void> {
  const app = await NestFactory.create(moduleOf(routes), adapter, { rawBody: true, logger: false })
  configure(app)
  await app.init()
  await adapter.getInstance().ready()
  onTestFinished(() => app.close())
}

const kept = (route: Route, options = {}): Promise<number> =>
  started([route], (app) => app.useGlobalInterceptors(layer(options)))

const answers: Readonly<Record<string, Route>> = {
  'a returned object': { handle: () => ({ order: 1 }) },
  'returned text': { handle: () => 'text' },
  'returned null': { handle: () => null },
  'nothing returned': { handle: () => undefined },
  'a promise': { handle: async () => ({ order: 1 }) },
  'an Observable': { handle: () => of({ order: 1 }) },
  '1 MiB': { handle: () => MIB.toString() },
  'a StreamableFile of bytes': { handle: () => new StreamableFile(Buffer.from([0, 255, 254, 10])) },
  'a StreamableFile of a stream': {
    handle: () => new StreamableFile(createReadStream(FILE), { type: 'application/json' }),
  },
  'a 204': { handle: () => undefined, decorators: [HttpCode(204)] },
  'a 205': { handle: () => undefined, decorators: [HttpCode(205)] },
  'a 304': { handle: () => undefined, decorators: [HttpCode(304), Header('etag', '"1"')] },
  'a redirect': { handle: () => undefined, decorators: [Redirect('/orders/1', 303)] },
  'a header': { handle: () => 'x', decorators: [Header('x-a', 'b')] },
  'res.json': { byItself: true, handle: (_, __, response) => void response.status(202).json({ order: 1 }) },
  'res.send of bytes': { byItself: true, handle: (_, __, response) => void response.send(Buffer.of(0, 255)) },
  'res.sendFile': { byItself: true, handle: (_, __, response) => response.sendFile(FILE) },
  'write and end': {
    byItself: true,
    handle: (_, __, response) => {
      response.write('a')
      response.end(Buffer.of(0xff))
    },
  },
  pipe: { byItself: true, handle: (_, __, response) => void Readable.from(['a', 'b']).pipe(response) },
}

test.each(Object.entries(answers))('%s is sent and replayed as it is without the layer', async (_, route) => {
  await expectFaithful({ bare: await started([route]), kept: await kept(route) }, {})
})

const throwing: Readonly<Record<string, Route['handle']>> = {
  'a throw': () => {
    throw new Error('broken')
  },
  'a rejection': () => Promise.reject(new Error('broken')),
  'a failed Observable': () => throwError(() => new Error('broken')),
}

describe.each(Object.entries(throwing))('%s gives the key back', (_, handle) => {
  test('when Nest answers', async () => {
    expect((await expectReleased(await kept({ handle }), {})).status).toBe(500)
  })

  test('when a filter answers', async () => {
    const filter = {
      catch: (error: Error, host: ArgumentsHost) =>
        host.switchToHttp().getResponse<Response>().status(502).send(`handled: ${error.message}`),
    }
    const port = await started([{ handle }], (app) =>
      app.useGlobalInterceptors(layer()).useGlobalFilters(filter),
    )
    expect((await expectReleased(port, {})).text).toBe('handled: broken')
  })
})

test('an exception gives the key back, a pipe’s and whatever its status, and after began() it is saved', async () => {
  const refuse = (): never => {
    throw new ConflictException('no more of them')
  }
  expect((await expectReleased(await kept({ handle: refuse }), {})).status).toBe(409)
  const pipe = {
    transform: (value: unknown, { type }: { type: string }) => (type === 'body' ? refuse() : value),
  }
  const piped = await started([{ handle: () => 'never' }], (app) =>
    app.useGlobalInterceptors(layer()).useGlobalPipes(pipe),
  )
  expect((await expectReleased(piped, {})).status).toBe(409)
  const began = await kept({
    handle: (request) => {
      idempotencyOf(request).began()
      return refuse()
    },
  })
  expect((await expectReplayed(began, {})).text).toMatch(/no more of them/)
})

describe('the body', () => {
  const echo: Route = { handle: (_, body) => body }

  test('is compared by the bytes that rawBody keeps', async () => {
    const port = await kept(echo)
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('that was not kept is refused, with what to do: to the client, and once to the log', async () => {
    const heard = warnings()
    const policyUrl = 'https://a.test/policy'
    const port = await started([echo], (app) => app.useGlobalInterceptors(layer({ policyUrl })), false)
    await ask(port, JSON_BODY)
    const answer = await ask(port, JSON_BODY)
    expect([answer.status, answer.headers['link']]).toEqual([500, `<${policyUrl}>; rel="describedby"`])
    expect(answer.text).toMatch(/before whatever reads the body/)
    expect(heard).toEqual([expect.stringMatching(/`rawBody: true`/)])
  })
})

test('a guard comes before it, and what it refuses has no key', async () => {
  const port = await started([{ handle: () => 'x' }], (app) =>
    app.useGlobalInterceptors(layer()).useGlobalGuards({ canActivate: () => false }),
  )
  expect((await ask(port)).status).toBe(403)
  expect(events).toEqual([])
})

test('an interceptor inside is part of the handler, and does not see a replay', async () => {
  let runs = 0
  const inside = {
    intercept: async (_: unknown, next: { handle(): unknown }) => {
      runs++
      return next.handle()
    },
  }
  const port = await started([{ handle: () => 'x' }], (app) =>
    app.useGlobalInterceptors(layer(), inside as Parameters<typeof app.useGlobalInterceptors>[0]),
  )
  await expectReplayed(port, {})
  expect(runs).toBe(1)
})

test('what is no HTTP passes', async () => {
  const context = {
    getType: () => 'rpc',
    switchToHttp: () => {
      throw new Error('no HTTP')
    },
  }
  const stream = of('x')
  expect(await layer().intercept(context, { handle: () => stream })).toBe(stream)
})

test('what compression outside makes of a response is not stored', async () => {
  const port = await started(
    [
      { path: '/json', handle: () => ({ text: 'a'.repeat(500) }) },
      {
        path: '/stream',
        handle: () =>
          new StreamableFile(Readable.from([Buffer.from('a'.repeat(500))]), { type: 'text/plain' }),
      },
    ],
    (app) => app.use(compression({ threshold: 0 })).useGlobalInterceptors(layer()),
  )
  await expectCompressedAnew(port, '/json')
  await expectCompressedAnew(port, '/stream')
})

test('enableCors answers preflights, and marks replays and refusals for who asks', async () => {
  const port = await started([{ handle: () => 'x' }], (app) => {
    app.enableCors({
      origin: true,
      allowedHeaders: [...CORS_HEADERS.allow],
      exposedHeaders: [...CORS_HEADERS.expose],
    })
    app.useGlobalInterceptors(layer())
  })
  await expectCors(port)
})

describe('a client that leaves finds the response later', () => {
  test.each<[string, () => unknown, expected: string]>([
    ['text', () => 'done', 'done'],
    ['an object', () => ({ order: 1 }), '{"order":1}'],
  ])('which is %s', async (_, respond, expected) => {
    const departure = new Departure()
    const port = await kept({
      handle: async (request) => {
        await departure.pass(request)
        return respond()
      },
    })
    const answer = await departure.answerAfter(port, events)
    expect([answer.replayed, answer.text]).toEqual([true, expected])
  })
})

test('in a transaction a throw takes everything back, and what is done is done once', async () => {
  const { store, order, count } = ledger()
  const port = await started(
    [
      { path: '/count', handle: (request) => idempotencyOf(request).transaction(count) },
      {
        handle: (request) =>
          idempotencyOf(request).transaction((db: Parameters<typeof order>[0]) => {
            order(db)
            return 'ordered'
          }),
      },
    ],
    (app) => app.useGlobalInterceptors(layer({ store, transactional: true })),
  )
  const orders = async (): Promise<string> => (await ask(port, { path: '/count', key: null })).text
  expect((await ask(port)).status).toBe(500)
  expect(await orders()).toBe('orders: 0')
  expect((await expectReplayed(port, {})).text).toBe('ordered')
  expect(await orders()).toBe('orders: 1')
})

describe('on Fastify', () => {
  const keptOnFastify = (route: Route, options = {}): Promise<number> =>
    startedOnFastify([route], (app) => app.useGlobalInterceptors(layer(options)))

  const itself: Route = {
    byItself: true,
    handle: (_, __, response) => void (response as unknown as FastifyReply).code(202).send({ order: 1 }),
  }
  const returned = Object.entries(answers).filter(([, { byItself }]) => byItself !== true)

  test.each([...returned, ['reply.send', itself] as const])(
    '%s is sent and replayed as it is without the layer',
    async (_, route) => {
      await expectFaithful({ bare: await startedOnFastify([route]), kept: await keptOnFastify(route) }, {})
    },
  )

  test.each(Object.entries(throwing))('%s gives the key back', async (_, handle) => {
    expect((await expectReleased(await keptOnFastify({ handle }), {})).status).toBe(500)
  })

  test('a body is compared by the bytes that rawBody keeps', async () => {
    const port = await keptOnFastify({ handle: (_, body) => body })
    expect((await expectReplayed(port, JSON_BODY)).text).toBe('{"a":1}')
    expect((await ask(port, { ...JSON_BODY, body: '{"a": 1}' })).status).toBe(422)
  })

  test('requests that inject makes are no different', async () => {
    const adapter = new FastifyAdapter()
    const handle = (_: unknown, body: unknown): unknown => body
    await readied(adapter, [{ handle }], (app) => app.useGlobalInterceptors(layer()))
    const inject = async (payload: object): Promise<unknown[]> => {
      const headers = { 'idempotency-key': 'k' }
      const answer = await adapter.inject({ method: 'POST', url: '/', headers, payload })
      return [answer.statusCode, answer.headers['idempotent-replayed']]
    }
    expect(await inject({ a: 1 })).toEqual([201, undefined])
    expect(await inject({ a: 1 })).toEqual([201, 'true'])
    expect(await inject({ a: 2 })).toEqual([422, undefined])
  })
})

test.each([
  ['RxJS', 500, (error: unknown) => error],
  ['Nest', 408, () => new RequestTimeoutException()],
])('a timeout of %s has nothing done again', async (_, status, told) => {
  let runs = 0
  const handle = (): unknown => {
    runs++
    return NEVER
  }
  const expiring = {
    intercept: (_context: unknown, next: CallHandler) =>
      next.handle().pipe(
        timeout(1),
        catchError((error: unknown) => throwError(() => told(error))),
      ),
  }
  const port = await started([{ handle }], (app) => app.useGlobalInterceptors(layer(), expiring))
  expect([(await expectReplayed(port, {})).status, runs]).toEqual([status, 1])
})
