/** Idempotency middleware that is published on npm, set up as its own pages say, for the benchmark and for conformance. */
import {
  Idempotency,
  IdempotencyError,
  IdempotencyErrorCodes,
  type IdempotencyResponse,
} from '@node-idempotency/core'
import { MemoryStorageAdapter } from '@node-idempotency/storage-adapter-memory'
import { RedisStorageAdapter } from '@node-idempotency/storage-adapter-redis'
import type { RequestHandler, Response } from 'express'
import { getSharedIdempotencyService, idempotency, type IdempotencyOptions } from 'express-idempotency'
import redisAdapter from 'express-idempotency-redis-adapter'
import { createClient } from 'redis'
import type { Ability } from '../harness/subject.ts'
import { expressApp } from './express.ts'
import { REDIS_PORT } from './redis.ts'
import { started, type ServerSubject } from './subject.ts'

/** A CommonJS module, whose default export Node does not unwrap. */
const { default: RedisAdapter } = redisAdapter

const url = `redis://127.0.0.1:${REDIS_PORT}`

/** It calls the next handler in any case, which has to ask whether the response is there already. */
const unlessHit: RequestHandler = (request, _, next) => {
  if (!getSharedIdempotencyService().isHit(request)) next()
}

const STATUS: Readonly<Record<string, number>> = {
  [IdempotencyErrorCodes.REQUEST_IN_PROGRESS]: 409,
  [IdempotencyErrorCodes.IDEMPOTENCY_FINGERPRINT_MISSMATCH]: 422,
}

/** There is a middleware of the same authors for it: the statuses and headers are what that one answers with. */
function nodeIdempotency(core: Idempotency): RequestHandler {
  return (request, response, next) => {
    const asked = {
      method: request.method,
      headers: request.headers,
      path: request.url,
      body: request.body as Record<string, unknown>,
    }
    const admit = async (): Promise<void> => {
      const known = await core.onRequest<unknown, unknown>(asked)
      if (known !== undefined) return replay(response, known)
      const send = response.send.bind(response)
      response.send = (body) => {
        response.send = send
        core.onResponse(asked, recorded(response, body)).then(() => send(body), next)
        return response
      }
      next()
    }
    void admit().then(undefined, (error: unknown) => {
      if (error instanceof IdempotencyError) response.status(STATUS[error.code] ?? 400)
      if (response.statusCode === 409) response.set('retry-after', '1')
      // oxlint-disable-next-line promise/no-callback-in-promise -- what Express 4 needs
      next(error)
    })
  }
}

function recorded(response: Response, body: unknown): IdempotencyResponse {
  return { body, additional: { statusCode: response.statusCode, contentType: response.get('content-type') } }
}

function replay(response: Response, { body, additional = {} }: IdempotencyResponse): void {
  response.status(Number(additional['statusCode'])).set('idempotent-replayed', 'true')
  if (typeof additional['contentType'] === 'string') response.type(additional['contentType'])
  response.send(body)
}

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

interface Opened {
  readonly layers: readonly RequestHandler[]
  /** Forgets all keys. */
  readonly close?: () => Promise<void>
}

export interface PublishedMiddleware {
  /** The npm packages. */
  readonly library: string
  readonly store: Ability
  readonly storePort?: number
  /** Where its pages mount it. */
  readonly mountedOn: 'every method' | 'POST'
  readonly open: () => Promise<Opened>
}

const REDIS = { store: 'Redis store', storePort: REDIS_PORT } as const
const MEMORY = { store: 'memory store' } as const

export const published: readonly PublishedMiddleware[] = [
  {
    library: 'express-idempotency',
    ...MEMORY,
    mountedOn: 'POST',
    open: async () => ({ layers: [idempotency(), unlessHit] }),
  },
  {
    library: 'express-idempotency + express-idempotency-redis-adapter',
    ...REDIS,
    mountedOn: 'POST',
    async open() {
      await expectEmpty()
      const dataAdapter = new RedisAdapter({ connectionConfig: { url, database: ITS_DATABASE } })
      await dataAdapter.connect()
      // Its types were not made for `exactOptionalPropertyTypes`.
      const options = { dataAdapter } as unknown as IdempotencyOptions
      const close = async (): Promise<void> => {
        await dataAdapter.disconnect()
        await itsDatabase('flushDb')
      }
      return { layers: [idempotency(options), unlessHit], close }
    },
  },
  {
    library: '@node-idempotency/core + @node-idempotency/storage-adapter-memory',
    ...MEMORY,
    mountedOn: 'every method',
    open: async () => ({ layers: [nodeIdempotency(new Idempotency(new MemoryStorageAdapter()))] }),
  },
  {
    library: '@node-idempotency/core + @node-idempotency/storage-adapter-redis',
    ...REDIS,
    mountedOn: 'every method',
    async open() {
      const storage = new RedisStorageAdapter({ url })
      await storage.connect()
      const cacheKeyPrefix = `holdfast-bench-${process.pid}`
      const close = async (): Promise<void> => {
        await storage.disconnect()
        await forget(`${cacheKeyPrefix}*`)
      }
      return { layers: [nodeIdempotency(new Idempotency(storage, { cacheKeyPrefix }))], close }
    },
  },
]

export const publishedServers: readonly ServerSubject[] = published.map(
  ({ library, store, storePort, open }) => ({
    library,
    name: `express, ${store}`,
    has: ['idempotent', 'express', store],
    replays: true,
    ...(storePort === undefined ? {} : { storePort }),
    async start() {
      const { layers, close } = await open()
      return started(expressApp(...layers), close)
    },
  }),
)
