import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/frameworks/node.ts'
import { CORS_HEADERS, type IdempotencyOptions } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { conformance, conformanceReport } from '../../src/testing/index.ts'
import { serveFixture, type Served } from './serve.ts'

type Chosen = Pick<IdempotencyOptions<IncomingMessage>, 'store' | 'fingerprint' | 'inFlight'>

/** As a user would have it who offers all that the table asks about. */
function serveOurs(chosen: Chosen): Promise<Served> {
  return serveFixture((effects) => {
    const protect = idempotency({
      ...chosen,
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

/** They mostly wait, but on a machine that is busy with other tests all that they ask takes its time. */
const timeout = 60_000

const ids = conformance({ url: 'http://127.0.0.1' }).map(({ id }) => id)

async function resultsOf(
  chosen: Chosen,
  only: readonly string[] = ids,
): Promise<Readonly<Record<string, string>>> {
  await using api = await serveOurs(chosen)
  const { rows } = await conformanceReport({ ...options, only, url: api.url })
  return Object.fromEntries(rows.map(({ id, result }) => [id, result]))
}

const allPass = (rows: readonly string[]): object => Object.fromEntries(rows.map((id) => [id, 'pass']))

describe('Holdfast passes every row, none is skipped', { timeout }, () => {
  test.concurrent('over memory', async () => {
    const results = await resultsOf({ store: memoryStore(), fingerprint: 'canonical-json' })
    expect(results).toEqual(allPass(ids))
  })

  test.concurrent('over redis', async () => {
    const client = new Redis({ host: '127.0.0.1', port: 6379 })
    const store = redisStore({ client, prefix: `conform-${randomUUID()}` })
    const results = await resultsOf({ store, fingerprint: 'canonical-json' })
    client.disconnect()
    expect(results).toEqual(allPass(ids))
  })
})

test.concurrent(
  'by default another order of members is another body, which P15 tells',
  { timeout },
  async () => {
    expect(await resultsOf({ store: memoryStore() }, ['D5', 'P15'])).toEqual({ D5: 'pass', P15: 'fail' })
  },
)

test.concurrent(
  'where duplicates wait, what is about 409 is told or left out, and all else passes',
  { timeout },
  async () => {
    const asked = ['D11', 'D15', 'P1', 'P2', 'P3', 'P16', 'P16-wait']
    expect(await resultsOf({ store: memoryStore(), inFlight: 'wait' }, asked)).toEqual({
      ...allPass(asked),
      D11: 'fail',
      D15: 'skipped',
      P16: 'skipped',
    })
  },
)

test.concurrent('each row is a test for any runner', { timeout }, async () => {
  await using api = await serveOurs({ store: memoryStore() })
  const rows = conformance({ ...options, url: api.url })
  const d5 = rows.find(({ id }) => id === 'D5')
  expect(d5?.name).toBe('D5 MUST: a key is not taken for another body')
  await expect(d5?.run()).resolves.toMatchObject({ result: 'pass' })
})
