/** A client that leaves over HTTP/2, whose responses say that they have finished when their client has gone. */
import { once } from 'node:events'
import { connect, constants, createServer, type ClientHttp2Stream, type Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { text } from 'node:stream/consumers'
import fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, onTestFinished, test } from 'vitest'
import { idempotency as fastifyPlugin } from '../../src/idempotency/frameworks/fastify.ts'
import { idempotency as koaMiddleware } from '../../src/idempotency/frameworks/koa.ts'
import { idempotency as nodeLayer, type NodeListener } from '../../src/idempotency/frameworks/node.ts'
import type { IdempotencyOptions } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { tick, until } from '../client/support/wait.ts'

type Serve = (
  options: Pick<IdempotencyOptions, 'store' | 'onEvent'>,
  body: () => Readable,
) => Http2Server | Promise<Http2Server>

function onNode(respond: (body: Readable, ...exchange: Parameters<NodeListener>) => unknown): Serve {
  return (options, body) => {
    const listener = nodeLayer(options)((...exchange) => respond(body(), ...exchange))
    // What HTTP/2 hands out does all that is asked of a request and a response.
    return createServer((...exchange) => void listener(...(exchange as unknown as Parameters<NodeListener>)))
  }
}

const servers: Readonly<Record<string, Serve>> = {
  pipe: onNode((body, _, response) => void body.pipe(response)),
  pipeline: onNode((body, _, response) => pipeline(body, response)),
  Koa: (options, body) => {
    const app = new Koa()
    app.use(koaMiddleware(options)).use((context) => {
      context.body = body()
    })
    const handle = app.callback()
    return createServer((...exchange) => void handle(...(exchange as unknown as Parameters<typeof handle>)))
  },
  Fastify: async (options, body) => {
    const app = fastify({ http2: true })
    void app.register(fastifyPlugin(options))
    app.post('/', (_, reply) => reply.send(body()))
    await app.ready()
    return app.server
  },
}

/** Ways to go. */
const leaving: Readonly<Record<string, (stream: ClientHttp2Stream) => void>> = {
  cancels: (stream) => stream.close(constants.NGHTTP2_CANCEL),
  'breaks the connection': (stream) => stream.session?.destroy(),
}

interface Asked {
  readonly stream: ClientHttp2Stream
  /** Whether the response is a replay, and its body. */
  readonly answer: () => Promise<[boolean, string]>
}

function ask(port: number): Asked {
  const client = connect(`http://127.0.0.1:${port}`)
  client.on('error', () => {})
  onTestFinished(() => client.destroy())
  const stream = client.request(
    { ':method': 'POST', ':path': '/', 'idempotency-key': 'k' },
    { endStream: true },
  )
  stream.on('error', () => {})
  const answer = async (): Promise<[boolean, string]> => {
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    return [headers['idempotent-replayed'] === 'true', await text(stream)]
  }
  return { stream, answer }
}

describe.each(Object.entries(servers))('%s', (_, serve) => {
  test.each(Object.entries(leaving))('a client that %s finds the response later', async (__, leave) => {
    let runs = 0
    let left = false
    let settled = false
    let go = (): void => {}
    const going = new Promise<void>((resolve) => (go = resolve))
    async function* parts(): AsyncGenerator<string> {
      runs++
      yield 'first '
      await going
      yield 'second'
    }
    const options = {
      store: memoryStore(),
      onEvent: ({ type }: { type: string }) => void (settled ||= type === 'completed' || type === 'released'),
    }
    const server = (await serve(options, () => Readable.from(parts(), { objectMode: false }))).listen(
      0,
      '127.0.0.1',
    )
    onTestFinished(() => void server.close())
    server.once('stream', (stream) => stream.once('close', () => (left = true)))
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { stream } = ask(port)
    await until(() => runs === 1)
    leave(stream)
    await until(() => left)
    await tick()
    go()
    await until(() => settled)
    expect(await ask(port).answer()).toEqual([true, 'first second'])
    expect(runs).toBe(1)
  })
})
