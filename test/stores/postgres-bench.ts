/** What the tests of the Postgres store work on: a store in a schema of its own, on a clock that the test moves. */
import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { AcquireRequest, StoreTransaction } from '../../src/idempotency/store.ts'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import type { PostgresPool, PostgresStore } from '../../src/stores/postgres/index.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { SqlStore } from '../../src/stores/postgres/postgres-store.ts'
import { migrationSql, quoteName } from '../../src/stores/postgres/schema.ts'
import {
  administrate,
  connectPg,
  connectPostgresJs,
  run,
  temporarySchema,
  warm,
  type PoolSettings,
  type PostgresConnection,
} from '../support/postgres.ts'

export type Connect = (settings?: PoolSettings, max?: number) => Promise<PostgresConnection>

export const clients: readonly { readonly client: string; readonly connect: Connect }[] = [
  { client: 'pg', connect: connectPg },
  { client: 'postgres.js', connect: connectPostgresJs },
]

export const ask = (overrides: Partial<AcquireRequest> = {}): AcquireRequest => ({
  scope: 'client',
  key: 'key',
  fingerprint: 'f',
  owner: randomUUID(),
  leaseMs: 30_000,
  ttlMs: 60_000,
  abandoned: 'block',
  maxKeysPerScope: 1000,
  ...overrides,
})

export interface Bench {
  readonly pool: PostgresPool
  readonly store: SqlStore
  readonly schema: string
  /** Lets time pass for the store. */
  readonly advance: (ms: number) => void
  readonly nowMs: () => number
  /** The process's own time. */
  readonly clock: VirtualClock
  readonly migration: string
}

interface BenchSettings {
  readonly settings?: PoolSettings
  readonly max?: number
  readonly migrated?: boolean
  /** A pool that no other test has, also where nothing is special about it: for connections that end badly. */
  readonly ownPool?: boolean
  readonly name?: string
}

/** Pools for all tests of a file: a new connection takes longer than a test does. */
const pools = new Map<string, Promise<PostgresConnection>>()

function shared(connect: Connect, process: 'first' | 'second'): Promise<PostgresConnection> {
  const name = `${process} ${connect.name}`
  const pool = pools.get(name) ?? connect()
  pools.set(name, pool)
  return pool
}

/** To be called when all tests of a file have run. */
export async function releasePools(): Promise<void> {
  const ended = [...pools.values()]
  pools.clear()
  for (const pool of ended) await (await pool).end()
}

export async function bench(connect: Connect, options: BenchSettings = {}): Promise<Bench> {
  const temporary = await temporarySchema()
  const schema = options.name ?? temporary.name
  const own = options.ownPool ?? (options.settings !== undefined || options.max !== undefined)
  const { pool, end } = own ? await connect(options.settings, options.max) : await shared(connect, 'first')
  onTestFinished(async () => {
    if (own) await end()
    await administrate(`DROP SCHEMA IF EXISTS ${quoteName(schema)} CASCADE`)
  })
  let nowMs = 1_700_000_000_000
  const database = databaseOf(pool, quoteName(schema), true)
  const time = { advance: (ms: number) => void (nowMs += ms), nowMs: () => nowMs }
  const migration = migrationSql(schema)
  const clock = virtualClock()
  const store = new SqlStore({ database, migration, nowMs: time.nowMs, clock })
  if (options.migrated !== false) await store.migrate()
  return { pool, store, schema, migration, clock, ...time }
}

/** Another process on the same tables. */
export async function another(connect: Connect, { schema, nowMs }: Bench): Promise<SqlStore> {
  const connection = await shared(connect, 'second')
  await warm(connection)
  return new SqlStore({
    database: databaseOf(connection.pool, quoteName(schema), true),
    migration: '',
    nowMs,
  })
}

export async function opened(
  store: PostgresStore,
  request: AcquireRequest | undefined,
): Promise<StoreTransaction> {
  const transaction = await store.begin(request)
  if (transaction === 'stale') throw new Error('no transaction')
  return transaction
}

export const columnOf = (bench: Bench, sql: string): Promise<unknown[]> =>
  run(bench.pool, sql.replaceAll('KEYS', `${quoteName(bench.schema)}.holdfast_keys`))

export const backend = async (client: unknown): Promise<number> =>
  Number((await run(client, 'SELECT pg_backend_pid()'))[0])
