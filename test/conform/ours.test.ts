import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/node.ts'
import { CORS_HEADERS, type IdempotencyStore } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { conformance, conformanceReport } from '../../src/testing/index.ts'
import { serveFixture, type Served } from './serve.ts'

/** As a user would have it who offers all that the table asks about. */
function serveOurs(store: IdempotencyStore): Promise<Served> {
  return serveFixture((effects) => {
    const protect = idempotency({
      store,
      required: true,
      syntax: 'strict',
      policyUrl: 'https://api.test/docs/idempotency',
      scope: ({ headers }) => String(headers['x-client']),
    })
    const listener = protect((request, response) => {
      idempotencyOf(request).began()
      return effects(request, response)
    })
    return (request, response) => {
      response.setHeader('access-control-allow-origin', 'https://app.test')
      response.setHeader('access-control-expose-headers', CORS_HEADERS.expose.join(', '))
      response.setHeader('access-control-allow-headers', CORS_HEADERS.allow.join(', '))
      void listener(request, response)
    }
  })
}

const options = {
  principals: [{ 'x-client': 'a:' }, { 'x-client': 'a' }],
  required: true,
  strict: true,
  origin: 'https://app.test',
  delayMs: 150,
} as const

describe.each<[string, () => { store: IdempotencyStore; close: () => void }]>([
  ['memory', () => ({ store: memoryStore(), close: () => {} })],
  [
    'redis',
    () => {
      const client = new Redis({ host: '127.0.0.1', port: 6379 })
      return {
        store: redisStore({ client, prefix: `conform-${randomUUID()}` }),
        close: () => client.disconnect(),
      }
    },
  ],
])('Holdfast over %s', (_, make) => {
  test('conforms, row by row', async () => {
    const { store, close } = make()
    await using api = await serveOurs(store)
    const { rows } = await conformanceReport({ ...options, url: api.url })
    close()
    expect(rows.filter(({ level, result }) => level !== 'MAY' && result !== 'pass')).toEqual([])
    expect(rows.length).toBeGreaterThan(25)
  })
})

test('each row is a test for any runner', async () => {
  await using api = await serveOurs(memoryStore())
  const rows = conformance({ ...options, url: api.url })
  const d5 = rows.find(({ id }) => id === 'D5')
  expect(d5?.name).toBe('D5 MUST: a key is not taken for another body')
  await expect(d5?.run()).resolves.toMatchObject({ result: 'pass' })
})
