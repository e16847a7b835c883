/** The fixture of the black-box conformance table behind the layer, as users of each framework would write it. */
import express from 'express'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as forExpress from '../../../src/idempotency/frameworks/express.ts'
import * as forFastify from '../../../src/idempotency/frameworks/fastify.ts'
import * as forHono from '../../../src/idempotency/frameworks/hono.ts'
import * as forKoa from '../../../src/idempotency/frameworks/koa.ts'
import * as forNode from '../../../src/idempotency/frameworks/node.ts'
import { idempotency, idempotencyOf } from '../../../src/idempotency/index.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import {
  conformanceFixture,
  type ConformanceFixture,
  type FixtureAnswer,
} from '../../../src/testing/index.ts'
import { listening } from '../../support/listening.ts'
import { serveFetch } from './serve-fetch.ts'

/** Starts a server that counts for itself, and tells its URL. */
type Start = (fixture: ConformanceFixture) => Promise<string>

const options = () => ({ store: memoryStore() })

async function textOf(request: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

function write(response: ServerResponse, { status, headers, parts }: FixtureAnswer): void {
  response.writeHead(status, headers)
  for (const part of parts) response.write(part)
  response.end()
}

const bytesOf = ({ parts }: FixtureAnswer): Buffer<ArrayBuffer> => Buffer.concat(parts)

function responseOf(answer: FixtureAnswer): Response {
  const { status, headers, parts } = answer
  return new Response(parts.length === 0 ? null : bytesOf(answer), { status, headers })
}

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

async function listen(listener: RequestListener): Promise<string> {
  return urlOf(await listening(createServer(listener)))
}

const onNode: Start = (fixture) => {
  const effects = forNode.idempotency(options())(async (request, response) => {
    idempotencyOf(request).began()
    write(response, await fixture.answer(await textOf(request)))
  })
  return listen((request, response) => {
    if (request.url === '/__count') response.end(String(fixture.count))
    else void effects(request, response)
  })
}

const onExpress: Start = (fixture) => {
  const app = express()
  app.get('/__count', (_, response) => void response.send(String(fixture.count)))
  app.use(forExpress.idempotency(options()), express.text({ type: '*/*', limit: '2mb' }))
  app.use('/effects', async (request, response) => {
    idempotencyOf(request).began()
    write(response, await fixture.answer(String(request.body)))
  })
  return listen(app)
}

const onFastify: Start = async (fixture) => {
  const app = fastify({ bodyLimit: 2_000_000 })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_, body, done) => done(null, body))
  await app.register(forFastify.idempotency(options()))
  const effects = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    idempotencyOf(request).began()
    const answer = await fixture.answer(String(request.body))
    return reply.code(answer.status).headers(answer.headers).send(bytesOf(answer))
  }
  app.get('/__count', () => String(fixture.count))
  app.all('/effects', effects)
  app.all('/effects/other', effects)
  return app.listen({ host: '127.0.0.1', port: 0 })
}

const onKoa: Start = (fixture) => {
  const app = new Koa()
  app.use(async (context, next) => {
    if (context.path === '/__count') context.body = String(fixture.count)
    else await next()
  })
  app.use(forKoa.idempotency(options()))
  app.use(async (context) => {
    idempotencyOf(context).began()
    const answer = await fixture.answer(await textOf(context.req))
    context.set(answer.headers)
    context.body = answer.parts.length === 0 ? null : bytesOf(answer)
    context.status = answer.status
  })
  const handle = app.callback()
  return listen((request, response) => void handle(request, response))
}

const onHono: Start = (fixture) => {
  const app = new Hono()
  app.get('/__count', (context) => context.text(String(fixture.count)))
  app.use(forHono.idempotency(options()))
  const effects = async (request: Request): Promise<Response> => {
    idempotencyOf(request).began()
    return responseOf(await fixture.answer(await request.text()))
  }
  app.all('/effects', (context) => effects(context.req.raw))
  app.all('/effects/other', (context) => effects(context.req.raw))
  return serveFetch(app.fetch)
}

export function webHandler(fixture: ConformanceFixture): (request: Request) => Promise<Response> {
  const effects = idempotency(options())(async (request: Request) => {
    idempotencyOf(request).began()
    return responseOf(await fixture.answer(await request.text()))
  })
  return async (request) =>
    new URL(request.url).pathname === '/__count' ? new Response(String(fixture.count)) : effects(request)
}

const onWeb: Start = (fixture) => serveFetch(webHandler(fixture))

const starts: Readonly<Record<string, Start>> = {
  'node:http': onNode,
  Express: onExpress,
  Fastify: onFastify,
  Koa: onKoa,
  Hono: onHono,
  'web-standard': onWeb,
}

/** Where each of them is served. */
export async function startAll(): Promise<Readonly<Record<string, string>>> {
  const urls: Record<string, string> = {}
  for (const [framework, start] of Object.entries(starts)) urls[framework] = await start(conformanceFixture())
  return urls
}
