import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { idempotency } from '../../src/idempotency/frameworks/node.ts'
import { idempotency as forExpress } from '../../src/idempotency/frameworks/express.ts'
import type { IdempotencyStore } from '../../src/idempotency/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { nearCache } from '../../src/stores/near-cache.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { redisStore } from '../../src/stores/redis/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import type { Ability } from '../harness/subject.ts'
import { expressApp } from './express.ts'
import { REDIS_PORT, redisForKeys } from './redis.ts'
import { handler, started, type ServerSubject, type Started } from './subject.ts'

interface Kept {
  readonly store: IdempotencyStore
  readonly close: () => Promise<void>
}

interface StoreKind {
  readonly name: string
  readonly has: readonly Ability[]
  readonly port?: number
  readonly open: () => Promise<Kept>
}

export const POSTGRES_PORT = 5432

export const storeKinds: readonly StoreKind[] = [
  kind('memory store', async () => ({ store: memoryStore(), close: async () => {} })),
  kind('SQLite store', openSqlite),
  kind('Redis store', openRedis, REDIS_PORT),
  {
    name: 'Redis store, near cache',
    has: ['Redis store', 'near cache'],
    port: REDIS_PORT,
    async open() {
      const { store, close } = await openRedis()
      return { store: nearCache(store), close }
    },
  },
  kind('Postgres store', openPostgres, POSTGRES_PORT),
]

function kind(name: Ability, open: StoreKind['open'], port?: number): StoreKind {
  return { name, has: [name], open, ...(port !== undefined && { port }) }
}

async function openSqlite(): Promise<Kept> {
  const path = join(tmpdir(), `holdfast-bench-${randomUUID()}.db`)
  const store = sqliteStore({ path })
  return {
    store,
    async close() {
      await store.close?.()
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
    },
  }
}

async function openRedis(): Promise<Kept> {
  const { client, prefix, close } = await redisForKeys()
  return { store: redisStore({ client, prefix }), close }
}

async function openPostgres(): Promise<Kept> {
  const pool = new pg.Pool({ host: '127.0.0.1', port: POSTGRES_PORT, user: 'postgres', database: 'test' })
  const schema = `holdfast_bench_${randomUUID()}`
  const store = postgresStore({ pool, schema })
  await pool.query(`CREATE SCHEMA "${schema}"`)
  await store.migrate()
  return {
    store,
    async close() {
      await pool.query(`DROP SCHEMA "${schema}" CASCADE`)
      await pool.end()
    },
  }
}

type Wrap = (store: IdempotencyStore) => Started['listener']

/** More keys than a run makes. */
const maxKeysPerScope = 10_000_000

const inNode: Wrap = (store) => idempotency({ store, maxKeysPerScope })(handler)
const inExpress: Wrap = (store) => expressApp(forExpress({ store, maxKeysPerScope }))

function subjects(wrap: Wrap, where: Ability, chosen: readonly StoreKind[]): ServerSubject[] {
  return chosen.map(({ name, has, port, open }) => ({
    library: 'holdfast',
    name: `${where}, ${name}`,
    has: ['idempotent', where, ...has],
    replays: true,
    ...(port === undefined ? {} : { storePort: port }),
    async start() {
      const { store, close } = await open()
      return started(wrap(store), close)
    },
  }))
}

export const ourNodeServers: readonly ServerSubject[] = subjects(inNode, 'node:http', storeKinds)
export const ourExpressServers: readonly ServerSubject[] = subjects(inExpress, 'express', storeKinds)
