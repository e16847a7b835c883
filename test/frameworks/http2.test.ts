/** Over HTTP/2, where a body is framed by the protocol: what Node makes of its requests is not what it makes of HTTP/1's. */
import { once } from 'node:events'
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import 'reflect-metadata'
import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { idempotency as fastifyPlugin } from '../../src/idempotency/frameworks/fastify.ts'
import { idempotency as koaMiddleware } from '../../src/idempotency/frameworks/koa.ts'
import { idempotency as nodeLayer, type NodeListener } from '../../src/idempotency/frameworks/node.ts'
import { idempotency as nestInterceptor } from '../../src/idempotency/frameworks/nest.ts'
import type { IdempotencyEvent } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { tick, until } from '../client/support/wait.ts'

// Node warns once a process, whichever test is the first.
const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})

/** Answers with what it was sent, and keeps it. */
type Serve = (seen: string[]) => Http2Server | Promise<Http2Server>

const servers: Readonly<Record<string, Serve>> = {
  node: (seen) => {
    const listener: NodeListener = async (request, response) => {
      seen.push(await text(request))
      response.end(seen.at(-1))
    }
    const protectedListener = nodeLayer({ store: memoryStore() })(listener)
    // What HTTP/2 hands out does all that is asked of a request and a response.
    return createServer(
      (...exchange) => void protectedListener(...(exchange as unknown as Parameters<NodeListener>)),
    )
  },
  Koa: (seen) => {
    const app = new Koa()
    app.use(koaMiddleware({ store: memoryStore() }))
    app.use(async (context) => {
      seen.push(await text(context.req))
      context.body = seen.at(-1)
    })
    const handle = app.callback()
    return createServer((...exchange) => void handle(...(exchange as unknown as Parameters<typeof handle>)))
  },
  Fastify: async (seen) => {
    const app = fastify({ http2: true })
    void app.register(fastifyPlugin({ store: memoryStore() }))
    app.post('/', (request, reply) => {
      seen.push(String(request.body))
      void reply.send(request.body)
    })
    await app.ready()
    return app.server
  },
  'Nest on Fastify': async (seen) => {
    const adapter = new FastifyAdapter<Http2Server>({ http2: true })
    const options = { rawBody: true, logger: false } as const
    const app = await NestFactory.create<NestFastifyApplication>(echoing(seen), adapter, options)
    app.useGlobalInterceptors(nestInterceptor({ store: memoryStore() }))
    app.useBodyParser('text/plain')
    await app.init()
    await adapter.getInstance().ready()
    return adapter.getHttpServer()
  },
}

/** A module of Nest, whose decorators are calls here. */
function echoing(seen: string[]): new () => object {
  class Echo {
    echo(body: unknown): string {
      seen.push(String(body))
      return seen.at(-1) ?? ''
    }
  }
  const { prototype } = Echo
  for (const decorate of [Post('/'), HttpCode(200)])
    decorate(prototype, 'echo', Object.getOwnPropertyDescriptor(prototype, 'echo')!)
  Body()(prototype, 'echo', 0)
  Controller()(Echo)
  // oxlint-disable-next-line typescript/no-extraneous-class -- what a module of Nest is
  class App {}
  Module({ controllers: [Echo] })(App)
  return App
}

interface Started {
  readonly client: ClientHttp2Session
  readonly seen: readonly string[]
  /** Streams that have come, and those that their clients have left. */
  readonly streams: { come: number; left: number }
}

async function started(serve: Serve): Promise<Started> {
  const seen: string[] = []
  const server = (await serve(seen)).listen(0, '127.0.0.1')
  const streams = { come: 0, left: 0 }
  server.on('stream', (stream) => {
    streams.come++
    stream.once('aborted', () => streams.left++)
  })
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  return { client, seen, streams }
}

const HEAD = { ':method': 'POST', ':path': '/', 'idempotency-key': 'k', 'content-type': 'text/plain' }

/** Status, and whether it is a replay. */
async function ask(client: ClientHttp2Session, body: string | undefined): Promise<[unknown, boolean]> {
  const stream = client.request(HEAD, { endStream: body === undefined })
  const responded = once(stream, 'response') as Promise<[Record<string, unknown>]>
  if (body !== undefined) stream.end(body)
  const [headers] = await responded
  stream.resume()
  return [headers[':status'], headers['idempotent-replayed'] === 'true']
}

describe.each(Object.entries(servers))('%s over HTTP/2', (_, serve) => {
  test('takes a body into the identity of a request that does not state its length', async () => {
    const { client, seen } = await started(serve)
    expect(await ask(client, 'five')).toEqual([200, false])
    expect(await ask(client, 'five')).toEqual([200, true])
    expect(await ask(client, 'six')).toEqual([422, false])
    expect(await ask(client, undefined)).toEqual([422, false])
    expect(seen).toEqual(['five'])
  })

  test('starts nothing for a request that was cut off in its body', async () => {
    const { client, seen, streams } = await started(serve)
    const cut = client.request(HEAD)
    cut.on('error', () => {})
    cut.write('fi')
    await until(() => streams.come === 1)
    cut.destroy()
    await until(() => streams.left === 1)
    await tick()
    expect(await ask(client, 'five')).toEqual([200, false])
    expect(seen).toEqual(['five'])
  })
})

describe('what a handler writes to the stream of HTTP/2 by itself', () => {
  const past = (write: (stream: ServerHttp2Stream, response: ServerResponse) => void): Serve => {
    return (seen) => {
      const onEvent = ({ type }: IdempotencyEvent): void => void seen.push(type)
      const protectedListener = nodeLayer({ store: memoryStore(), onEvent })((_, response) => {
        // oxlint-disable-next-line typescript/no-unsafe-argument -- only HTTP/2 has it
        write(Reflect.get(response, 'stream'), response)
      })
      return createServer((...exchange) => {
        void protectedListener(...(exchange as unknown as Parameters<NodeListener>)).catch(() => {})
      })
    }
  }
  const whole = (stream: ServerHttp2Stream): void => {
    stream.respond({ ':status': 201 })
    stream.end('done')
  }

  test.each<[string, Parameters<typeof past>[0]]>([
    ['as a whole', whole],
    [
      'as a whole, before it throws',
      (stream) => {
        whole(stream)
        throw new Error('late')
      },
    ],
    [
      'as the head of what the response ends',
      (stream, response) => {
        stream.respond({ ':status': 201 })
        response.end('done')
      },
    ],
  ])('%s, is done, and not replayable', async (__, write) => {
    const { client, seen } = await started(past(write))
    expect(await ask(client, undefined)).toEqual([201, false])
    await until(() => seen.length > 1)
    expect(seen.slice(0, 2)).toEqual(['acquired', 'completed'])
    const again = client.request(HEAD, { endStream: true })
    const responded = once(again, 'response') as Promise<[Record<string, unknown>]>
    expect(await text(again)).toContain('response-not-replayable')
    const [headers] = await responded
    expect(headers[':status']).toBe(409)
    expect(seen.filter((type) => type === 'acquired')).toHaveLength(1)
  })
})

test('none of this has set a status message, of which Node warns', () => {
  expect(warned.mock.calls.filter(([message]) => String(message).includes('Status message'))).toEqual([])
})
