/** The service of the cases in every framework, as its users would write it. */
import 'reflect-metadata'
import { All, Controller, Module, Req, Res, type ArgumentsHost } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import express, { type ErrorRequestHandler, type Request as ExpressRequest } from 'express'
import express4 from 'express4'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono, type Context as HonoContext } from 'hono'
import Koa, { type Context as KoaContext } from 'koa'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import * as forExpress from '../../src/idempotency/frameworks/express.ts'
import * as forFastify from '../../src/idempotency/frameworks/fastify.ts'
import * as forHono from '../../src/idempotency/frameworks/hono.ts'
import * as forKoa from '../../src/idempotency/frameworks/koa.ts'
import * as forNest from '../../src/idempotency/frameworks/nest.ts'
import { idempotencyOf, type IdempotencyStore } from '../../src/idempotency/index.ts'
import type { VirtualClock } from '../../src/testing/virtual-clock.ts'
import {
  bytesOf,
  clientOf,
  scopeBy,
  SocketService,
  toResponse,
  WebService,
  writeTo,
  type Early,
  type Options,
  type Output,
  type ServiceKind,
} from './service.ts'
import { listening } from '../support/listening.ts'

class FrameworkService extends SocketService {
  protected readonly server: Server = createServer()
  #close = async (): Promise<void> => {}

  /** For middleware that reads and writes the objects of node:http. */
  async answer(request: IncomingMessage, response: ServerResponse, target: string): Promise<void> {
    const output = await this.run(await this.callOf(request, response, target))
    if (output !== 'ended' && !(output instanceof Response)) writeTo(response, output)
  }

  async express(create: typeof express, options: Options): Promise<this> {
    const scope = scopeBy<ExpressRequest>(options.scope, clientOf)
    const app = create()
    app.use(forExpress.idempotency({ ...this.options(options), ...scope }))
    app.use((request, response, next) => {
      // oxlint-disable-next-line promise/no-callback-in-promise -- how Express is told of an error
      this.answer(request, response, request.originalUrl).catch(next)
    })
    const onError: ErrorRequestHandler = (_error, _request, response, _next) => {
      response.status(500).type('html').send('<h1>broken</h1>')
    }
    app.use(onError)
    this.server.on('request', app)
    await listening(this.server)
    return this
  }

  async koa(options: Options): Promise<this> {
    const scope = scopeBy<KoaContext>(options.scope, ({ req }) => clientOf(req))
    const app = new Koa()
    app.silent = true
    app.use(forKoa.idempotency({ ...this.options(options), ...scope }))
    app.use(async (context) => {
      const call = await this.callOf(context.req, context.res, context.originalUrl)
      const early = (output: Output): Early => {
        context.respond = false
        return call.early(output)
      }
      const output = await this.run({ ...call, idempotency: idempotencyOf(context), early })
      if (output === 'ended' || output instanceof Response) return
      const { status = 200, statusText, headers = {} } = output
      // What was written early has been taken back.
      context.respond = true
      for (const [name, value] of Object.entries(headers)) context.set(name, [value].flat())
      const hadType = context.response.get('content-type') !== ''
      context.body = bytesOf(output)
      if (!hadType) context.remove('content-type')
      context.status = status
      if (statusText !== undefined) context.message = statusText
    })
    const handle = app.callback()
    this.server.on('request', (request, response) => void handle(request, response))
    await listening(this.server)
    return this
  }

  async fastify(options: Options): Promise<this> {
    const scope = scopeBy<forFastify.FastifyRequest>(options.scope, ({ raw }) => clientOf(raw))
    const app = fastify({
      serverFactory: (handler) => this.server.on('request', handler),
    })
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: 4_000_000 }, (_request, body, done) => {
      done(null, body)
    })
    app.setErrorHandler((_error, _request, reply) => {
      void reply.code(500).type('text/html').send('<h1>broken</h1>')
    })
    app.all('*', async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.of()
      const early = (output: Output): Early => {
        sendWith(reply, output)
        return 'ended'
      }
      const { method, url: target } = request
      const output = await this.run({ method, target, body, idempotency: idempotencyOf(request), early })
      if (output !== 'ended' && !(output instanceof Response)) sendWith(reply, output)
      return reply
    })
    await app.register(forFastify.idempotency({ ...this.options(options), ...scope }))
    await app.ready()
    await listening(this.server)
    this.#close = () => app.close()
    return this
  }

  async nest(options: Options): Promise<this> {
    const scope = scopeBy<IncomingMessage>(options.scope, clientOf)
    const answer = (request: ExpressRequest, response: ServerResponse): Promise<void> =>
      this.answer(request, response, request.originalUrl)
    const app = await NestFactory.create(moduleAround(answer), { logger: false, bodyParser: false })
    app.useGlobalInterceptors(forNest.idempotency({ ...this.options(options), ...scope }))
    app.useGlobalFilters({
      catch: (_error: unknown, host: ArgumentsHost) => {
        const response = host.switchToHttp().getResponse<ServerResponse>()
        response.writeHead(500, { 'content-type': 'text/html' }).end('<h1>broken</h1>')
      },
    })
    await app.init()
    this.server.on('request', app.getHttpAdapter().getInstance())
    await listening(this.server)
    this.#close = () => app.close()
    return this
  }

  async nestOnFastify(options: Options): Promise<this> {
    const scope = scopeBy<FastifyRequest>(options.scope, ({ raw }) => clientOf(raw))
    const adapter = new FastifyAdapter({
      serverFactory: (handler: RequestListener) => this.server.on('request', handler),
    })
    const http = adapter.getInstance()
    // As without a body parser on Express: who comes later finds it unread.
    http.removeAllContentTypeParsers()
    http.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const answer = (request: FastifyRequest, reply: FastifyReply): Promise<void> =>
      this.answer(request.raw, reply.raw, request.originalUrl)
    const app = await NestFactory.create(moduleAround(answer), adapter, {
      logger: false,
      bodyParser: false,
    })
    app.useGlobalInterceptors(forNest.idempotency({ ...this.options(options), ...scope }))
    app.useGlobalFilters({
      catch: (_error: unknown, host: ArgumentsHost) => {
        const { raw } = host.switchToHttp().getResponse<FastifyReply>()
        raw.writeHead(500, { 'content-type': 'text/html' }).end('<h1>broken</h1>')
      },
    })
    await app.init()
    await http.ready()
    await listening(this.server)
    this.#close = () => app.close()
    return this
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await this.#close()
    if (this.server.listening) await super[Symbol.asyncDispose]()
  }
}

function sendWith(reply: FastifyReply, output: Output): void {
  const { status = 200, statusText, headers = {} } = output
  if (statusText !== undefined) reply.raw.statusMessage = statusText
  for (const [name, value] of Object.entries(headers)) reply.header(name, value)
  void reply.code(status).send(bytesOf(output))
}

/** Decorators as calls, since tests run without a compiler that knows them. */
function moduleAround(answer: (request: never, response: never) => Promise<void>): new () => object {
  class Effects {
    all(request: never, response: never): Promise<void> {
      return answer(request, response)
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Effects.prototype, 'all') ?? {}
  All('*')(Effects.prototype, 'all', descriptor)
  Req()(Effects.prototype, 'all', 0)
  Res()(Effects.prototype, 'all', 1)
  Controller()(Effects)
  // oxlint-disable-next-line typescript/no-extraneous-class -- what a module of Nest is
  class App {}
  Module({ controllers: [Effects] })(App)
  return App
}

class HonoService extends WebService {
  constructor(store: IdempotencyStore, clock: VirtualClock, options: Options) {
    super(store, clock, options)
    const scope = scopeBy<HonoContext>(options.scope, ({ req }) => req.header('x-client') ?? '')
    const app = new Hono()
    app.onError((_error, context) => context.html('<h1>broken</h1>', 500))
    app.use(forHono.idempotency({ ...this.options(options), ...scope }))
    app.all('*', async (context) => {
      const { pathname, search } = new URL(context.req.url)
      const body = new Uint8Array(await context.req.arrayBuffer())
      const { method } = context.req.raw
      const idempotency = idempotencyOf(context)
      const call = { method, target: pathname + search, body, idempotency, early: toResponse }
      const output = await this.run(call)
      if (output === 'ended') throw new Error('a web handler can not end its response')
      return output instanceof Response ? output : toResponse(output)
    })
    this.handler = (request) => app.fetch(request)
  }
}

const kind = (
  name: string,
  start: (service: FrameworkService, options: Options) => Promise<FrameworkService>,
): ServiceKind => ({
  name,
  start: (store, clock, options = {}) => start(new FrameworkService(store, clock), options),
})

export const frameworkKinds: readonly ServiceKind[] = [
  kind('express 5', (service, options) => service.express(express, options)),
  kind('express 4', (service, options) => service.express(express4, options)),
  kind('fastify', (service, options) => service.fastify(options)),
  kind('koa', (service, options) => service.koa(options)),
  kind('nest', (service, options) => service.nest(options)),
  kind('nest on fastify', (service, options) => service.nestOnFastify(options)),
  { name: 'hono', start: async (store, clock, options = {}) => new HonoService(store, clock, options) },
]
