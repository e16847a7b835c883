/** Requests and responses that no socket has brought: what adapters for functions, such as serverless-http, make up. */
import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { bodyParser } from '@koa/bodyparser'
import express from 'express'
import Koa from 'koa'
import { describe, expect, test } from 'vitest'
import { idempotency as expressMiddleware } from '../../src/idempotency/frameworks/express.ts'
import { idempotency as koaMiddleware } from '../../src/idempotency/frameworks/koa.ts'
import { idempotency as nodeLayer } from '../../src/idempotency/frameworks/node.ts'
import { memoryStore } from '../../src/stores/memory.ts'

/** Each counts its runs, and answers with the body that it has got. */
const applications: Readonly<Record<string, () => RequestListener>> = {
  node: () => {
    const protect = nodeLayer({ store: memoryStore() })
    let runs = 0
    const listener = protect(async (request, response) => {
      response.end(`${++runs} ${await text(request)}`)
    })
    return (request, response) => void listener(request, response)
  },
  Express: () => {
    const app = express()
    let runs = 0
    app.use(expressMiddleware({ store: memoryStore() }), express.json(), (request, response) => {
      response.end(`${++runs} ${JSON.stringify(request.body)}`)
    })
    return app
  },
  Koa: () => {
    const app = new Koa()
    let runs = 0
    app.use(koaMiddleware({ store: memoryStore() }))
    app.use(bodyParser())
    app.use((context) => {
      context.body = `${++runs} ${JSON.stringify(context.request.body)}`
    })
    const handle = app.callback()
    return (request, response) => void handle(request, response)
  },
}

/** What an adapter does once it has handed a request on. */
type Adapter = (request: IncomingMessage) => void

const adapters: Readonly<Record<string, Adapter>> = {
  'serverless-http': () => {},
  // Whatever the application is going to read.
  'serverless-express': (request) => void Reflect.set(request, 'readable', false),
}

/** The event of a function has the whole body; what an adapter makes of it is complete, and gives it when it is asked. */
function madeUp(body: string, key: string): IncomingMessage {
  const headers = {
    'content-length': Buffer.byteLength(body),
    'content-type': 'application/json',
    'idempotency-key': key,
  }
  const read = function (this: IncomingMessage): void {
    this.push(body)
    this.push(null)
  }
  const request = new IncomingMessage(new Socket())
  return Object.assign(request, { complete: true, method: 'POST', url: '/', headers, _read: read })
}

/** Status and body. */
function ask(
  listener: RequestListener,
  adapter: Adapter,
  body: string,
  key = 'k',
): Promise<[number, string]> {
  const request = madeUp(body, key)
  const response = new ServerResponse(request)
  return new Promise((resolve) => {
    // What is made up has its own way to learn of the end.
    response.end = (chunk: unknown) => {
      resolve([response.statusCode, String(chunk)])
      return response
    }
    listener(request, response)
    queueMicrotask(() => adapter(request))
  })
}

describe.each(Object.entries(adapters))('as %s makes them up', (_, adapter) => {
  test.each(Object.entries(applications))('%s has the body, and compares it', async (__, application) => {
    const listener = application()
    expect(await ask(listener, adapter, '{"a":1}')).toEqual([200, '1 {"a":1}'])
    expect(await ask(listener, adapter, '{"a":1}')).toEqual([200, '1 {"a":1}'])
    expect(await ask(listener, adapter, '{"a":2}')).toEqual([422, expect.stringContaining('key-reused')])
  })
})

test('two keys that were joined are no key, although no raw headers tell', async () => {
  const [status, body] = await ask(applications.node!(), () => {}, '{"a":1}', 'one, two')
  expect([status, JSON.parse(body)]).toEqual([400, expect.objectContaining({ code: 'key-malformed' })])
})
