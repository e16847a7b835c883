/** A request that comes by two layers over one store, of which one is the application's and one the route's. */
import 'reflect-metadata'
import { Controller, Module, Post, UseInterceptors } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { createServer, type RequestListener } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import * as forExpress from '../../src/idempotency/frameworks/express.ts'
import * as forFastify from '../../src/idempotency/frameworks/fastify.ts'
import * as forHono from '../../src/idempotency/frameworks/hono.ts'
import * as forKoa from '../../src/idempotency/frameworks/koa.ts'
import * as forNest from '../../src/idempotency/frameworks/nest.ts'
import * as forNode from '../../src/idempotency/frameworks/node.ts'
import { idempotency, type IdempotencyStore } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { ask, JSON_BODY, serving } from './support.ts'

/** What the handler answers: how often it ran. */
type Effect = () => string
/** An application whose handler stands behind two layers; resolves to its listener. */
type Build = (
  stores: readonly [IdempotencyStore, IdempotencyStore],
  effect: Effect,
) => Promise<RequestListener>

const applications: Readonly<Record<string, Build>> = {
  async node([outer, inner], effect) {
    const listener = forNode.idempotency({ store: outer })(
      forNode.idempotency({ store: inner, required: true })((_, response) => response.end(effect())),
    )
    return (request, response) => void listener(request, response)
  },
  async express([outer, inner], effect) {
    const app = express()
    app.use(forExpress.idempotency({ store: outer }))
    app.use(express.json({ verify: (request, _, bytes) => Reflect.set(request, 'rawBody', bytes) }))
    const layer = forExpress.idempotency({ store: inner, required: true })
    app.post('/', layer, (_, response) => void response.send(effect()))
    return app
  },
  async koa([outer, inner], effect) {
    const app = new Koa()
    app.use(forKoa.idempotency({ store: outer }))
    app.use(forKoa.idempotency({ store: inner, required: true }))
    app.use((context) => void (context.body = effect()))
    const handle = app.callback()
    return (request, response) => void handle(request, response)
  },
  async fastify([outer, inner], effect) {
    const server = createServer()
    const app = fastify({ serverFactory: (handler) => server.on('request', handler) })
    onTestFinished(() => app.close())
    app.register(forFastify.idempotency({ store: outer }))
    app.register(async (part) => {
      part.register(forFastify.idempotency({ store: inner, required: true }))
      part.post('/', async () => effect())
    })
    await app.ready()
    return (request, response) => void server.emit('request', request, response)
  },
  async nest([outer, inner], effect) {
    class Orders {
      order(): string {
        return effect()
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'order') ?? {}
    Post('/')(Orders.prototype, 'order', descriptor)
    UseInterceptors(forNest.idempotency({ store: inner, required: true }))(
      Orders.prototype,
      'order',
      descriptor,
    )
    Controller()(Orders)
    // oxlint-disable-next-line typescript/no-extraneous-class -- what a module of Nest is
    class App {}
    Module({ controllers: [Orders] })(App)
    const app = await NestFactory.create(App, { logger: false, rawBody: true })
    onTestFinished(() => app.close())
    app.useGlobalInterceptors(forNest.idempotency({ store: outer }))
    await app.init()
    return app.getHttpAdapter().getInstance() as RequestListener
  },
}

const asked = { 'idempotency-key': 'k' }
const webs: Readonly<
  Record<
    string,
    (
      stores: readonly [IdempotencyStore, IdempotencyStore],
      effect: Effect,
    ) => (request: Request) => Response | Promise<Response>
  >
> = {
  web: ([outer, inner], effect) =>
    idempotency({ store: outer })(
      idempotency({ store: inner, required: true })(() => new Response(effect(), { status: 201 })),
    ),
  hono([outer, inner], effect) {
    const app = new Hono()
    app.use(forHono.idempotency({ store: outer }))
    app.post('/', forHono.idempotency({ store: inner, required: true }), (context) =>
      context.text(effect(), 201),
    )
    return (request) => app.fetch(request)
  },
}

function counting(): Effect {
  let runs = 0
  return () => `run ${++runs}`
}

describe.each(Object.entries(applications))('%s', (_, build) => {
  test('runs the handler once, and replays its response', async () => {
    const store = memoryStore()
    const port = await serving(await build([store, store], counting()))
    const [first, again] = [await ask(port, JSON_BODY), await ask(port, JSON_BODY)]
    expect([first.text, again.text, first.replayed, again.replayed]).toEqual(['run 1', 'run 1', false, true])
    const keyless = await ask(port, { ...JSON_BODY, key: null })
    expect([keyless.status, keyless.headers['content-type']]).toEqual([400, 'application/problem+json'])
  })

  test('keeps two records in two stores', async () => {
    const port = await serving(await build([memoryStore(), memoryStore()], counting()))
    const [first, again] = [await ask(port, JSON_BODY), await ask(port, JSON_BODY)]
    expect([first.text, again.text, first.replayed, again.replayed]).toEqual(['run 1', 'run 1', false, true])
  })
})

describe.each(Object.entries(webs))('%s', (_, build) => {
  test('runs the handler once, and replays its response', async () => {
    const store = memoryStore()
    const handler = build([store, store], counting())
    const send = async (headers: Record<string, string>): Promise<Response> =>
      handler(new Request('https://a.test/', { method: 'POST', headers, body: 'x' }))
    const [first, again] = [await send(asked), await send(asked)]
    expect([first.status, again.status]).toEqual([201, 201])
    expect([await first.text(), await again.text()]).toEqual(['run 1', 'run 1'])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await send({})).status).toBe(400)
  })
})
