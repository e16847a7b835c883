/** What listeners, and middleware between them and the layer, do with a response of node:http beyond the usual. */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { idempotency, idempotencyOf, type NodeListener } from '../../src/idempotency/frameworks/node.ts'
import type { AcquireResult, IdempotencyStore } from '../../src/idempotency/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { until } from '../client/support/wait.ts'
import { faultyStore } from '../conformance/faulty-store.ts'
import { deferred } from '../support/operations.ts'
import { listening as open } from '../support/listening.ts'
import { ask, expectFaithful, expectReleased, layers, serving } from './support.ts'

const { events, layer } = layers(idempotency)

/** Starts a server for one test; what the listener throws ends the test. */
const listening = (listener: NodeListener): Promise<number> =>
  serving((request, response) => void Promise.resolve(listener(request, response)))

const faithful = async (listener: NodeListener): Promise<number> => {
  const twins = { bare: await listening(listener), kept: await listening(layer()(listener)) }
  return (await expectFaithful(twins, {})).status
}

describe('a status that is no whole number is what Node makes of it', () => {
  test.each<[string, unknown]>([
    ['a text', '201'],
    ['a fraction', 201.9],
    ['a text with a fraction', '201.9'],
  ])('%s', async (_, status) => {
    const listener: NodeListener = (__, response) => {
      Reflect.set(response, 'statusCode', status)
      response.end('x')
    }
    expect(await faithful(listener)).toBe(201)
    expect(await faithful((__, response) => response.writeHead(status as number).end('x'))).toBe(201)
  })

  test('and gives the key back like that', async () => {
    const listener: NodeListener = (_, response) => {
      Reflect.set(response, 'statusCode', '422')
      response.end('no')
    }
    expect((await expectReleased(await listening(layer()(listener)), {})).status).toBe(422)
  })
})

test('who puts himself before the end, and asks by Node’s own field whether there is a head, is told', async () => {
  // As express-session does, and older versions of compression.
  const inside = (listener: NodeListener): NodeListener => {
    return (request, response) => {
      const end = response.end.bind(response)
      const writeHead: unknown = Reflect.get(response, '_implicitHeader')
      const behind = (...args: Parameters<typeof end>): unknown => {
        if (!Reflect.get(response, '_header') && typeof writeHead === 'function')
          Reflect.apply(writeHead, response, [])
        return end(...args)
      }
      Reflect.set(response, 'end', behind)
      return listener(request, response)
    }
  }
  expect(await faithful(inside((_, response) => response.writeHead(201).end('x')))).toBe(201)
  expect(await faithful(inside((_, response) => void Readable.from(['a', 'b']).pipe(response)))).toBe(200)
  const written: NodeListener = (_, response) => {
    response.writeHead(202).write('a')
    setImmediate(() => response.end('b'))
  }
  expect(await faithful(inside(written))).toBe(202)
})

test('a client that waits to be asked for its body is asked, where the server leaves that to its listener', async () => {
  const listener: NodeListener = async (request, response) => {
    response.writeContinue()
    response.end(await text(request))
  }
  for (const answering of [listener, layer()(listener)]) {
    const server = await open(createServer())
    onTestFinished(() => void server.close())
    server.on('checkContinue', (incoming, response) => void answering(incoming, response))
    const { port } = server.address() as AddressInfo
    const headers = { 'idempotency-key': 'k', expect: '100-continue', 'content-length': 4 }
    const sending = request({ port, method: 'POST', headers })
    sending.flushHeaders()
    await once(sending, 'continue')
    sending.end('body')
    const [response] = (await once(sending, 'response')) as [IncomingMessage]
    expect(await text(response)).toBe('body')
  }
})

describe('a request that a timeout outside has answered while the store was asked', () => {
  /** Answers the first request itself once the store is asked, which answers after that. */
  async function late(result: AcquireResult | undefined): Promise<{ port: number; runs: () => number }> {
    const store = memoryStore()
    let [asked, runs] = [0, 0]
    const answered = deferred<undefined>()
    const acquire: IdempotencyStore['acquire'] = async (wanted) => {
      if (++asked > 1) return store.acquire(wanted)
      await answered.promise
      return result ?? store.acquire(wanted)
    }
    const slow: IdempotencyStore = { ...faultyStore(store), acquire }
    const protect = layer({ store: slow })((_, response) => response.end(`run ${++runs}`))
    const port = await listening(async (incoming, response) => {
      if (incoming.url !== '/late') return protect(incoming, response)
      const protecting = protect(incoming, response)
      response.writeHead(504).end('too late')
      answered.resolve(undefined)
      // Nothing is thrown, either.
      return protecting
    })
    return { port, runs: () => runs }
  }

  test('is not run for nobody, and gives its key back', async () => {
    const { port, runs } = await late(undefined)
    expect((await ask(port, { path: '/late' })).status).toBe(504)
    await expect.poll(() => events.map(({ type }) => type)).toEqual(['acquired', 'released'])
    expect(runs()).toBe(0)
  })

  test('is not answered once more', async () => {
    const { port } = await late({ type: 'busy', retryAfterMs: 1000 })
    expect((await ask(port, { path: '/late' })).status).toBe(504)
    await expect.poll(() => events.map(({ type }) => type)).toEqual(['rejected'])
    expect((await ask(port, { key: 'another' })).text).toBe('run 1')
  })
})

/** A store whose keys are somebody else's in the end, who has recorded nothing. */
function overtaken(): IdempotencyStore {
  const store = memoryStore()
  return {
    name: 'overtaken',
    acquire: (request) => store.acquire(request),
    heartbeat: (lease) => store.heartbeat(lease),
    release: (lease) => store.release(lease),
    read: () => Promise.resolve(undefined),
    complete: () => new Promise((resolve) => void setImmediate(() => resolve('stale'))),
  }
}

describe('a handler whose response is not the one that is sent', () => {
  const EVENTS = { 'content-type': 'text/event-stream' }
  const LARGE = Array.from({ length: 40 }, () => Buffer.alloc(65_536, 1))

  const ways: Readonly<Record<string, (response: ServerResponse) => unknown>> = {
    "end's callback": (response) => new Promise<void>((resolve) => void response.end('x', resolve)),
    'a stream of events': async (response) => {
      response.writeHead(200, EVENTS)
      // Right behind the answer that is sent in its place, before that has left.
      for (let count = 0; count < 2000; count++) {
        response.write('data: x\n\n')
        await new Promise((resolve) => {
          process.nextTick(resolve)
        })
      }
      await new Promise<void>((resolve) => void response.end('data: end\n\n', resolve))
    },
    "write's callback": async (response) => {
      response.writeHead(200, EVENTS).write('data: x\n\n')
      await once(response, 'close')
      await new Promise<unknown>((resolve) => void response.write('data: x\n\n', resolve))
    },
    drain: async (response) => {
      for (const chunk of LARGE) if (!response.write(chunk)) await once(response, 'drain')
      response.end()
    },
  }

  test.each(Object.entries(ways))('comes to its end: %s', async (_, way) => {
    let ended = false
    const port = await listening(
      layer({ store: overtaken() })(async (__, response) => {
        await way(response)
        ended = true
      }),
    )
    const answer = await ask(port)
    expect([answer.status, answer.headers['content-type']]).toEqual([409, 'application/problem+json'])
    await until(() => ended)
  })
})

describe('what middleware inside adds when the head is written', () => {
  /** As `on-headers` does it, and all that is made of it; `calls` counts. */
  const wrapping =
    (answer: NodeListener, calls: unknown[] = []): NodeListener =>
    (request, response) => {
      const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse
      response.writeHead = (status: number, ...rest: unknown[]) => {
        calls.push(status)
        response.setHeader('x-cost', '7')
        return writeHead(status === 200 ? 202 : status, ...rest)
      }
      return answer(request, response)
    }

  test.each<[string, NodeListener]>([
    ['end', (_, response) => response.end('x')],
    ['write', (_, response) => void (response.write('x') && response.end())],
    ['writeHead', (_, response) => response.writeHead(200, { 'x-own': 'a' }).end('x')],
    ['nothing but the end', (_, response) => response.end()],
  ])('is recorded: %s', async (_, answer) => {
    expect(await faithful(wrapping(answer))).toBe(202)
  })

  test('is asked for once, and before the headers are flushed', async () => {
    const calls: unknown[] = []
    const flushing = wrapping((_, response) => {
      response.flushHeaders()
      expect(response.getHeader('x-cost')).toBe('7')
      response.end('x')
    }, calls)
    const port = await listening(layer()(flushing))
    const answer = await ask(port)
    expect([answer.status, answer.headers['x-cost'], answer.text]).toEqual([202, '7', 'x'])
    expect(calls).toEqual([200])
  })

  test('is asked for again where a transaction took the response back', async () => {
    const store = sqliteStore({ path: ':memory:' })
    onTestFinished(() => store.close?.())
    const calls: unknown[] = []
    const listener = wrapping(async (request, response) => {
      const failing = idempotencyOf(request).transaction(() => {
        response.end('ordered')
        throw new Error('out of stock')
      })
      await failing.catch(() => response.writeHead(503).end('sorry'))
    }, calls)
    const port = await listening(layer({ store, transactional: true })(listener))
    const answer = await ask(port)
    expect([answer.status, answer.headers['x-cost'], answer.text]).toEqual([503, '7', 'sorry'])
    expect(calls).toEqual([200, 503])
  })
})
