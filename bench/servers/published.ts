/** Idempotency middleware that is published on npm, set up as its own pages say. */
import { Idempotency, IdempotencyError } from '@node-idempotency/core'
import { MemoryStorageAdapter } from '@node-idempotency/storage-adapter-memory'
import { RedisStorageAdapter } from '@node-idempotency/storage-adapter-redis'
import type { RequestHandler } from 'express'
import { getSharedIdempotencyService, idempotency, type IdempotencyOptions } from 'express-idempotency'
import redisAdapter from 'express-idempotency-redis-adapter'
import { createClient } from 'redis'
import type { Ability } from '../harness/subject.ts'
import { expressApp } from './express.ts'
import { REDIS_PORT } from './ours.ts'
import { started, type ServerSubject } from './subject.ts'

/** A CommonJS module, whose default export Node does not unwrap. */
const { default: RedisAdapter } = redisAdapter

const url = `redis://127.0.0.1:${REDIS_PORT}`

/** It calls the next handler in any case, which has to ask whether the response is there already. */
const unlessHit: RequestHandler = (request, _, next) => {
  if (!getSharedIdempotencyService().isHit(request)) next()
}

/** There is a middleware of the same authors for it, which does this. */
function nodeIdempotency(core: Idempotency): RequestHandler {
  return (request, response, next) => {
    const asked = {
      method: request.method,
      headers: request.headers,
      path: request.path,
      body: request.body as Record<string, unknown>,
    }
    const admit = async (): Promise<void> => {
      const known = await core.onRequest<unknown, unknown>(asked)
      if (known !== undefined) {
        response.status(Number(known.additional?.['statusCode'] ?? 200)).send(known.body)
        return
      }
      const send = response.send.bind(response)
      response.send = (body) => {
        const recorded = { body: body as unknown, additional: { statusCode: response.statusCode } }
        response.send = send
        core.onResponse(asked, recorded).then(() => send(body), next)
        return response
      }
      next()
    }
    void admit().then(undefined, (error: unknown) => {
      if (error instanceof IdempotencyError) response.status(409).send(error.code)
      // oxlint-disable-next-line promise/no-callback-in-promise -- what Express 4 needs
      else next(error)
    })
  }
}

const subject = (
  library: string,
  store: Ability,
  start: ServerSubject['start'],
  storePort?: number,
): ServerSubject => ({
  library,
  name: `express, ${store}`,
  has: ['idempotent', 'express', store],
  ...(storePort === undefined ? {} : { storePort }),
  start,
})

/** Its adapter names keys as clients do, so it gets a database of Redis to itself, which is emptied in the end. */
const ITS_DATABASE = 15

async function itsDatabase(what: 'dbSize' | 'flushDb'): Promise<unknown> {
  const client = createClient({ url, database: ITS_DATABASE })
  await client.connect()
  try {
    return await client[what]()
  } finally {
    await client.close()
  }
}

async function expectEmpty(): Promise<void> {
  const keys = await itsDatabase('dbSize')
  if (keys !== 0)
    throw new Error(`database ${ITS_DATABASE} of ${url} has ${String(keys)} keys: it should be empty`)
}

/** Removes what a run has left in Redis. */
async function forget(pattern: string): Promise<void> {
  const client = createClient({ url })
  await client.connect()
  const keys = await client.keys(pattern)
  while (keys.length > 0) await client.del(keys.splice(0, 1000))
  await client.close()
}

export const publishedServers: readonly ServerSubject[] = [
  subject('express-idempotency', 'memory store', async () => started(expressApp(idempotency(), unlessHit))),
  subject(
    'express-idempotency + express-idempotency-redis-adapter',
    'Redis store',
    async () => {
      await expectEmpty()
      const dataAdapter = new RedisAdapter({ connectionConfig: { url, database: ITS_DATABASE } })
      await dataAdapter.connect()
      // Its types were not made for `exactOptionalPropertyTypes`.
      const options = { dataAdapter } as unknown as IdempotencyOptions
      return started(expressApp(idempotency(options), unlessHit), async () => {
        await dataAdapter.disconnect()
        await itsDatabase('flushDb')
      })
    },
    REDIS_PORT,
  ),
  subject('@node-idempotency/core + @node-idempotency/storage-adapter-memory', 'memory store', async () =>
    started(expressApp(nodeIdempotency(new Idempotency(new MemoryStorageAdapter())))),
  ),
  subject(
    '@node-idempotency/core + @node-idempotency/storage-adapter-redis',
    'Redis store',
    async () => {
      const storage = new RedisStorageAdapter({ url })
      await storage.connect()
      const cacheKeyPrefix = `holdfast-bench-${process.pid}`
      const core = new Idempotency(storage, { cacheKeyPrefix })
      return started(expressApp(nodeIdempotency(core)), async () => {
        await storage.disconnect()
        await forget(`${cacheKeyPrefix}*`)
      })
    },
    REDIS_PORT,
  ),
]
