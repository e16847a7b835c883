/** A client that leaves when its request has been sent as a whole, and before the handler has it. */
import type { IncomingMessage, RequestListener } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import express, { type RequestHandler } from 'express'
import express4 from 'express4'
import fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, test } from 'vitest'
import { idempotency as expressLayer } from '../../src/idempotency/frameworks/express.ts'
import { idempotency as fastifyLayer } from '../../src/idempotency/frameworks/fastify.ts'
import { idempotency as koaLayer } from '../../src/idempotency/frameworks/koa.ts'
import { idempotency as nodeLayer } from '../../src/idempotency/frameworks/node.ts'
import type { AcquireRequest, Lease } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { tick, until } from '../client/support/wait.ts'
import { ask, serving } from './support.ts'

interface World {
  /** What comes before the layer, such as authentication. */
  readonly before: (request: IncomingMessage) => Promise<void>
  readonly store: ReturnType<typeof memoryStore>
  /** The bodies that the handler got. */
  readonly seen: unknown[]
}

type Application = (world: World) => RequestListener | Promise<RequestListener>

/** For both: what Express 5 returns is not awaited by Express 4. */
const middleware =
  (work: World['before']): RequestHandler =>
  (request, _, next) => {
    // oxlint-disable-next-line promise/no-callback-in-promise -- how Express is told
    void work(request).then(() => next(), next)
  }

const onExpress =
  (make: typeof express): Application =>
  ({ before, store, seen }) =>
    make()
      .use(middleware(before))
      .use(expressLayer({ store }))
      .use(make.text())
      .post('/', (request, response) => void response.send(`got ${seen.push(request.body)}`))

const applications: Readonly<Record<string, Application>> = {
  node: ({ before, store, seen }) => {
    const handle = nodeLayer({ store })(async (request, response) => {
      response.end(`got ${seen.push(await text(request))}`)
    })
    const serve = async (...[request, response]: Parameters<RequestListener>): Promise<void> => {
      await before(request)
      await handle(request, response)
    }
    return (request, response) => void serve(request, response).catch(() => response.destroy())
  },
  'Express 5': onExpress(express),
  'Express 4': onExpress(express4),
  Koa: ({ before, store, seen }) => {
    const app = new Koa()
    app.silent = true
    app.use(async (context, next) => {
      await before(context.req)
      await next()
    })
    app.use(koaLayer({ store }))
    app.use(async (context) => {
      context.body = `got ${seen.push(await text(context.req))}`
    })
    const handle = app.callback()
    return (request, response) => void handle(request, response)
  },
  Fastify: async ({ before, store, seen }) => {
    const app = fastify()
    app.addHook('onRequest', async ({ raw }) => before(raw))
    await app.register(fastifyLayer({ store }))
    app.post('/', async ({ body }) => `got ${seen.push(body)}`)
    await app.ready()
    return (request, response) => app.routing(request, response)
  },
}

const TEXT = { 'content-type': 'text/plain' }

/** A client that leaves when the server is `here`, which goes on when it knows. */
class Leaving {
  #arrived = false
  #left = false

  async here(request: IncomingMessage): Promise<void> {
    if (this.#arrived) return
    this.#arrived = true
    request.socket.once('close', () => (this.#left = true))
    await until(() => this.#left)
    await tick()
  }

  async send(port: number, body = 'four'): Promise<void> {
    const socket = connect(port, '127.0.0.1')
    const head = ['POST / HTTP/1.1', 'Host: a', 'Idempotency-Key: k', 'Content-Type: text/plain']
    socket.write([...head, `Content-Length: ${body.length}`, '', body].join('\r\n'))
    await until(() => this.#arrived)
    socket.destroy()
    await until(() => this.#left)
    await tick()
  }
}

/** An application and what it keeps, whose store lets a test in before it looks for a key. */
async function started(application: Application, asked: (request: IncomingMessage) => Promise<void> | void) {
  const store = memoryStore()
  const seen: unknown[] = []
  let current: IncomingMessage | undefined
  let completed = false
  const [acquire, complete] = [store.acquire.bind(store), store.complete.bind(store)]
  Object.assign(store, {
    acquire: async (request: AcquireRequest) => {
      if (current !== undefined) await asked(current)
      return acquire(request)
    },
    complete: (lease: Lease, response: Uint8Array) =>
      complete(lease, response).finally(() => (completed = true)),
  })
  const before = async (request: IncomingMessage): Promise<void> => void (current ??= request)
  const port = await serving(await application({ before, store, seen }))
  return { port, seen, recorded: () => until(() => completed) }
}

describe.each(Object.entries(applications))('with %s', (_, application) => {
  test('that leaves while the store is asked finds what was made of its whole request', async () => {
    const leaving = new Leaving()
    const { port, seen, recorded } = await started(application, (request) => leaving.here(request))
    await leaving.send(port)
    await recorded()
    const answer = await ask(port, { body: 'four', headers: TEXT })
    expect([answer.replayed, answer.text, seen]).toEqual([true, 'got 1', ['four']])
  })

  test('whose connection breaks as the handler begins does, too', async () => {
    // Those who wait for its end do not know it yet.
    const { port, seen, recorded } = await started(application, ({ socket }) => void socket.destroy())
    await expect(ask(port, { body: 'four', headers: TEXT })).rejects.toThrow('socket hang up')
    await recorded()
    const answer = await ask(port, { body: 'four', headers: TEXT })
    expect([answer.replayed, answer.text, seen]).toEqual([true, 'got 1', ['four']])
  })

  test('that leaves before the layer is there finds its key free, and nothing done without its body', async () => {
    const leaving = new Leaving()
    const seen: unknown[] = []
    const before = (request: IncomingMessage): Promise<void> => leaving.here(request)
    const port = await serving(await application({ before, store: memoryStore(), seen }))
    await leaving.send(port)
    const answer = await ask(port, { body: 'four', headers: TEXT })
    expect([answer.text, seen]).toEqual(['got 1', ['four']])
  })

  test('that leaves so with a request without a body does, too', async () => {
    const leaving = new Leaving()
    const seen: unknown[] = []
    const before = (request: IncomingMessage): Promise<void> => leaving.here(request)
    const port = await serving(await application({ before, store: memoryStore(), seen }))
    await leaving.send(port, '')
    const answer = await ask(port, { body: '', headers: TEXT })
    expect([answer.replayed, answer.text]).toEqual([false, 'got 1'])
  })
})

test('one that leaves between the layer and the parser of Express 5 does, too', async () => {
  const leaving = new Leaving()
  const seen: unknown[] = []
  const app = express()
    .use(expressLayer({ store: memoryStore() }))
    .use(middleware((request) => leaving.here(request)))
    .use(express.text())
    .post('/', (request, response) => void response.send(`got ${seen.push(request.body)}`))
  const port = await serving(app)
  await leaving.send(port)
  const answer = await ask(port, { body: 'four', headers: TEXT })
  expect([answer.replayed, answer.text, seen]).toEqual([true, 'got 1', ['four']])
})
