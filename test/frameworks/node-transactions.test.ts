/** What a listener of node:http may wait for inside its transaction, while its response is kept back. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import express from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { idempotency as middleware } from '../../src/idempotency/frameworks/express.ts'
import { idempotency, idempotencyOf, type NodeListener } from '../../src/idempotency/frameworks/node.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { ask, FILE, serving } from './support.ts'

const LARGE = Array.from({ length: 40 }, () => Buffer.alloc(65_536, 1))

function transactional(): { store: ReturnType<typeof sqliteStore>; transactional: true } {
  const store = sqliteStore({ path: ':memory:' })
  onTestFinished(() => store.close?.())
  return { store, transactional: true }
}

const listening = (listener: NodeListener): Promise<number> =>
  serving((request, response) => {
    const work = idempotency(transactional())(listener)(request, response)
    void Promise.resolve(work).catch(() => response.destroy())
  })

const waits: Readonly<Record<string, (response: ServerResponse) => Promise<unknown>>> = {
  pipeline: (response) => pipeline(Readable.from(['x']), response),
  'a pipeline beyond what is kept of a response': (response) => pipeline(Readable.from(LARGE), response),
  "end's callback": (response) => new Promise<void>((resolve) => void response.end('x', resolve)),
  'the event finish': (response) => {
    const told = once(response, 'finish')
    response.end('x')
    return told
  },
  'finished()': (response) => {
    const told = finished(response, { readable: false })
    response.end('x')
    return told
  },
  drain: async (response) => {
    for (const chunk of LARGE) if (!response.write(chunk)) await once(response, 'drain')
    response.end()
  },
}

const cases = Object.entries(waits).flatMap(([name, wait]) =>
  ['k', null].map((key) => [name, key === null ? 'without a key' : 'under a key', key, wait] as const),
)

test.each(cases)('%s is waited for, %s, and the response sent then', async (_, __, key, wait) => {
  const port = await listening(async (request, response) => {
    await idempotencyOf(request).transaction(() => wait(response))
  })
  const answer = await ask(port, { key })
  expect(answer.status).toBe(200)
  expect([1, 40 * 65_536]).toContain(Buffer.byteLength(answer.text, 'latin1'))
})

test.each(['k', null])('sendFile calls back, key %s', async (key) => {
  const app = express()
  app.use(middleware(transactional()))
  app.post('/', async (request, response) => {
    const send = (): Promise<void> =>
      new Promise((resolve, reject) => {
        response.sendFile(FILE, (error?: Error) => (error ? reject(error) : resolve()))
      })
    await idempotencyOf(request).transaction(send)
  })
  const answer = await ask(await serving(app), { key })
  expect(answer.status).toBe(200)
  expect(answer.text.length).toBeGreaterThan(0)
})

describe.each(['k', null])('with key %s', (key) => {
  test('whoever listened before is told once, when it is true', async () => {
    const told: string[] = []
    const port = await listening(async (request, response) => {
      response.on('finish', () => told.push('outside'))
      await idempotencyOf(request).transaction(async () => {
        response.on('finish', () => told.push('inside'))
        await new Promise<void>((resolve) => void response.end('x', resolve))
        told.push('committing')
      })
    })
    await ask(port, { key })
    expect(told).toEqual(['inside', 'committing', 'outside'])
  })

  test('after the transaction the end is told when it is true', async () => {
    const told: boolean[] = []
    const port = await listening(async (request, response) => {
      await idempotencyOf(request).transaction(() => {})
      response.end('x', () => told.push(response.writableFinished))
    })
    await ask(port, { key })
    expect(told).toEqual([true])
  })

  test('a response that was taken back leaves nothing of its head', async () => {
    const port = await listening(async (request, response) => {
      const work = idempotencyOf(request).transaction(async () => {
        response.writeHead(201, 'Order Made', { 'x-made': '1' }).end('made')
        throw new Error('out of stock')
      })
      await work.catch(() => response.writeHead(409).end('not made'))
    })
    const { status, message, headers, text } = await ask(port, { key })
    expect([status, message, headers['x-made'], text]).toEqual([409, 'Conflict', undefined, 'not made'])
  })

  test.each([
    [
      'begun',
      (response: ServerResponse) => response.writeHead(201, 'Order Made', { 'x-made': '1' }).write('half'),
    ],
    [
      'ended',
      (response: ServerResponse) => response.writeHead(201, 'Order Made', { 'x-made': '1' }).end('made'),
    ],
    ['flushed', (response: ServerResponse) => response.writeHead(201, { 'x-made': '1' }).flushHeaders()],
  ])(
    'what a transaction has %s is taken back with it, and what was there before stays',
    async (_, respond) => {
      const port = await listening(async (request, response) => {
        response.statusCode = 202
        response.statusMessage = 'As Before'
        response.setHeader('x-before', '1')
        const work = idempotencyOf(request).transaction(async () => {
          response.setHeader('x-before', '2')
          respond(response)
          throw new Error('out of stock')
        })
        await work.catch(() => {
          expect([response.statusCode, response.headersSent]).toEqual([202, false])
          response.setHeader('x-after', '1')
          response.end('not made')
        })
      })
      const { status, message, headers, text } = await ask(port, { key })
      const named = ['x-made', 'x-before', 'x-after'].map((name) => headers[name])
      expect([status, message, text, ...named]).toEqual([202, 'As Before', 'not made', undefined, '1', '1'])
    },
  )

  test('what was written before a transaction that fails stays; without a key it has left, as what follows does', async () => {
    const port = await listening(async (request, response) => {
      response.writeHead(201, { 'x-before': '1' }).write('before, ')
      const work = idempotencyOf(request).transaction(async () => {
        response.write('inside, ')
        throw new Error('out of stock')
      })
      await work.catch(() => response.end('after'))
    })
    const { status, headers, text } = await ask(port, { key })
    expect([status, headers['x-before'], text]).toEqual([
      201,
      '1',
      key === null ? 'before, inside, after' : 'before, after',
    ])
  })
})
