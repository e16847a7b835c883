import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { IdempotencyStore } from '../../src/idempotency/store.ts'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import { DatabaseStore } from '../../src/stores/postgres/postgres-store.ts'
import { migrationSql, quoteName } from '../../src/stores/postgres/schema.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { nearCache } from '../../src/stores/near-cache.ts'
import { senderOf } from '../../src/stores/redis/client.ts'
import { RedisStore } from '../../src/stores/redis/redis-store.ts'
import { openDatabase } from '../../src/stores/sqlite/driver.ts'
import { sqliteStore, type SqliteDatabase } from '../../src/stores/sqlite/index.ts'
import {
  storeSuite,
  type StoreEffects,
  type StoreTest,
  type StoreUnderTest,
} from '../../src/testing/store-suite/index.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import {
  administrate,
  connectPg,
  connectPostgresJs,
  postgresUrl,
  run,
  temporarySchema,
  type PostgresConnection,
} from '../support/postgres.ts'
import { connectIoRedis, connectNodeRedis, deleteAll, type RedisConnection } from '../support/redis.ts'
import { redisUrl } from '../support/redis-server.ts'
import { urlOf } from '../support/servers.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

export interface DisposableStore extends StoreUnderTest, AsyncDisposable {
  readonly clock: VirtualClock
  /** For stores with transactions: effects of a handler in the store's own database. */
  readonly effects?: StoreEffects
}

export interface StoreKind {
  readonly name: string
  readonly transactions: boolean
  /** Another client of a server that an earlier kind has asked already, or a server at all: asking it takes real time. */
  readonly remote?: 'server' | 'another client'
  readonly make: (clock?: VirtualClock) => Promise<DisposableStore>
}

/**
 * Knows what its server is still at. A case may end before a call that it let hang has arrived there, and the next one
 * must not meet it.
 */
function settling(store: IdempotencyStore): {
  readonly store: IdempotencyStore
  readonly settled: () => Promise<void>
} {
  const pending = new Set<Promise<unknown>>()
  const watched = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(member, target, args)
        if (!(answer instanceof Promise)) return answer
        const ended: Promise<unknown> = answer.then(
          () => pending.delete(ended),
          () => pending.delete(ended),
        )
        pending.add(ended)
        return answer
      }
    },
  })
  const settled = async (): Promise<void> => {
    while (pending.size > 0) await Promise.all(pending)
  }
  return { store: watched, settled }
}

/** Time is the test's here, where Redis would tell its own; all keys are deleted after. */
function redisKind(
  name: string,
  remote: Remote,
  url: string,
  connect: (url: string) => Promise<RedisConnection>,
): StoreKind {
  return {
    name,
    transactions: false,
    remote,
    async make(clock = virtualClock()) {
      const { client, quit } = await connect(url)
      const prefix = `holdfast-test:${randomUUID()}:`
      const send = senderOf(client)
      const { store, settled } = settling(new RedisStore({ send, prefix, nowMs: () => clock.wallNow() }))
      return {
        store,
        clock,
        advance: (ms) => clock.advance(ms),
        async [Symbol.asyncDispose]() {
          await settled()
          await deleteAll(send, prefix)
          await quit()
        },
      }
    },
  }
}

type Remote = NonNullable<StoreKind['remote']>

/** What the stores of this file leave behind: done by `releaseStores`. */
const releases: (() => Promise<void>)[] = []

/** To be called when all cases have run. */
export async function releaseStores(): Promise<void> {
  for (const release of releases.splice(0)) await release()
}

interface PostgresBench {
  readonly schema: string
  readonly connection: PostgresConnection
}

/** A schema and a pool for all cases of a file: making them for each takes longer than the cases do. */
async function postgresBench(
  connect: () => Promise<PostgresConnection>,
  onRelease: () => void,
): Promise<PostgresBench> {
  const schema = await temporarySchema()
  const connection = await connect()
  releases.push(async () => {
    onRelease()
    await connection.end()
    await schema[Symbol.asyncDispose]()
  })
  const database = databaseOf(connection.pool, quoteName(schema.name), true)
  await new DatabaseStore({ database, migration: migrationSql(schema.name), nowMs: () => 0 }).migrate()
  await administrate(`CREATE TABLE "${schema.name}".effects (id serial, effect text NOT NULL)`)
  await administrate(`CREATE TABLE "${schema.name}".once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
  return { schema: schema.name, connection }
}

/** Time is the test's here, where Postgres would tell its own. */
function postgresKind(name: string, remote: Remote, connect: () => Promise<PostgresConnection>): StoreKind {
  let bench: Promise<PostgresBench> | undefined
  return {
    name,
    transactions: true,
    remote,
    async make(clock = virtualClock()) {
      bench ??= postgresBench(connect, () => (bench = undefined))
      const { schema, connection } = await bench
      const { pool } = connection
      const database = databaseOf(pool, quoteName(schema), true)
      const { store, settled } = settling(
        new DatabaseStore({ database, migration: '', nowMs: () => clock.wallNow() }),
      )
      const effects = `"${schema}".effects`
      for (const table of [`"${schema}".holdfast_keys`, effects]) await run(pool, `DELETE FROM ${table}`)
      return {
        store,
        clock,
        effects: {
          add: async (client, effect) => {
            await run(client, `INSERT INTO ${effects} (effect) VALUES ('${effect}')`)
          },
          async addDoomed(client, effect) {
            await this.add(client, effect)
            await run(client, `INSERT INTO "${schema}".once VALUES (1), (1)`)
          },
          list: async () => (await run(pool, `SELECT effect FROM ${effects} ORDER BY id`)).map(String),
        },
        advance: (ms) => clock.advance(ms),
        [Symbol.asyncDispose]: settled,
      }
    },
  }
}

const redis = await urlOf(redisUrl)
const postgres = await urlOf(postgresUrl)

/**
 * A near cache before a store: one more client of it. What handlers see of one is shown by that over memory; the others are
 * asked the cases of a store.
 */
function nearCached({ name, transactions, make }: StoreKind): StoreKind {
  return {
    name: `near cache over ${name}`,
    transactions,
    ...(name !== 'memory' && { remote: 'another client' as const }),
    async make(clock) {
      const made = await make(clock)
      return {
        ...made,
        store: nearCache(made.store, { clock: made.clock }),
        [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
      }
    },
  }
}

const kinds: readonly StoreKind[] = [
  {
    name: 'memory',
    transactions: false,
    async make(clock = virtualClock()) {
      const store = memoryStore({ clock })
      return { store, clock, advance: (ms) => clock.advance(ms), async [Symbol.asyncDispose]() {} }
    },
  },
  {
    name: 'sqlite',
    transactions: true,
    async make(clock = virtualClock()) {
      const folder = await temporaryFolder()
      const path = join(folder.path, 'keys.db')
      const store = sqliteStore({ path, clock })
      const other = await openDatabase(path)
      other.exec('CREATE TABLE effects (id INTEGER PRIMARY KEY, effect TEXT NOT NULL)')
      other.exec('CREATE TABLE refers (id INTEGER REFERENCES effects (id) DEFERRABLE INITIALLY DEFERRED)')
      return {
        store,
        clock,
        effects: {
          // The store's client, as its documentation names it.
          add: (client, effect) => addEffect(client as SqliteDatabase, effect),
          async addDoomed(client, effect) {
            await this.add(client, effect)
            const database = client as SqliteDatabase
            database.prepare('INSERT INTO refers (id) VALUES (?)').run(-1)
          },
          list: async () => listEffects(other),
        },
        advance: (ms) => clock.advance(ms),
        async [Symbol.asyncDispose]() {
          await store.close?.()
          other.close()
          await folder[Symbol.asyncDispose]()
        },
      }
    },
  },
  ...(postgres === undefined
    ? []
    : [
        postgresKind('postgres (pg)', 'server', connectPg),
        postgresKind('postgres (postgres.js)', 'another client', connectPostgresJs),
      ]),
  ...(redis === undefined
    ? []
    : [
        redisKind('redis (ioredis)', 'server', redis, connectIoRedis),
        redisKind('redis (node-redis)', 'another client', redis, connectNodeRedis),
      ]),
]

/** The stores of this package, each on a clock that the test moves. */
export const storeKinds: readonly StoreKind[] = [
  ...kinds,
  ...kinds.filter(({ remote }) => remote !== 'another client').map(nearCached),
]

function addEffect(database: SqliteDatabase, effect: string): void {
  database.prepare('INSERT INTO effects (effect) VALUES (?)').run(effect)
}

function listEffects(database: SqliteDatabase): string[] {
  const rows = database.prepare('SELECT effect FROM effects ORDER BY id').all()
  return rows.map((row) => String(Reflect.get(Object(row), 'effect')))
}

/** The tests that every store has to pass. */
export function suiteOf({ make, transactions }: StoreKind): readonly StoreTest[] {
  const subject = async () => {
    const made = await make()
    const { store, advance, effects } = made
    return { store, advance, effects, dispose: async () => made[Symbol.asyncDispose]() }
  }
  if (!transactions) return storeSuite(subject)
  return storeSuite(
    async () => {
      const { effects, ...rest } = await subject()
      if (effects === undefined) throw new Error('a store with transactions needs effects')
      return { ...rest, effects }
    },
    { transactions: true },
  )
}
