/** What the tests of the Postgres store work on: a store in a schema of its own, on a clock that the test moves. */
import { randomUUID } from 'node:crypto'
import { expect, onTestFinished } from 'vitest'
import type { AcquireRequest, StoreTransaction } from '../../src/idempotency/store.ts'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import type { PostgresPool, PostgresStore } from '../../src/stores/postgres/index.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import { DatabaseStore } from '../../src/stores/postgres/postgres-store.ts'
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
  readonly store: DatabaseStore
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
  /** Tables that no other test has: for who alters them, or grants rights on them. */
  readonly ownSchema?: boolean
  readonly name?: string
}

/** For all tests of a file, by name: making connections and tables anew takes longer than most tests do. */
const pools = new Map<string, Promise<PostgresConnection>>()
let sharedSchema: ReturnType<typeof migratedSchema> | undefined

function sharedPool(
  connect: Connect,
  process: 'first' | 'second',
  settings: PoolSettings = {},
): Promise<PostgresConnection> {
  const name = `${process} ${connect.name} ${JSON.stringify(settings)}`
  const pool = pools.get(name) ?? connect(settings)
  pools.set(name, pool)
  return pool
}

async function migratedSchema() {
  const schema = await temporarySchema()
  await administrate(migrationSql(schema.name))
  return schema
}

/** To be called when all tests of a file have run. */
export async function releaseShared(): Promise<void> {
  const [ended, schema] = [[...pools.values()], sharedSchema]
  pools.clear()
  sharedSchema = undefined
  for (const pool of ended) await (await pool).end()
  await (await schema)?.[Symbol.asyncDispose]()
}

async function poolFor(connect: Connect, { settings, max }: BenchSettings): Promise<PostgresPool> {
  if (max === undefined) return (await sharedPool(connect, 'first', settings)).pool
  const { pool, end } = await connect(settings, max)
  onTestFinished(end)
  return pool
}

/** The name of a schema: the shared one without keys, or one that nobody else has. */
async function schemaFor({ name, migrated = true, ownSchema = false }: BenchSettings): Promise<string> {
  if (name === undefined && migrated && !ownSchema) {
    sharedSchema ??= migratedSchema()
    const shared = (await sharedSchema).name
    await administrate(`DELETE FROM ${quoteName(shared)}.holdfast_keys`)
    return shared
  }
  const schema = name ?? (await temporarySchema()).name
  onTestFinished(async () => void (await administrate(`DROP SCHEMA IF EXISTS ${quoteName(schema)} CASCADE`)))
  return schema
}

export async function bench(connect: Connect, options: BenchSettings = {}): Promise<Bench> {
  const schema = await schemaFor(options)
  const pool = await poolFor(connect, options)
  let nowMs = 1_700_000_000_000
  const database = databaseOf(pool, quoteName(schema), true)
  const time = { advance: (ms: number) => void (nowMs += ms), nowMs: () => nowMs }
  const migration = migrationSql(schema)
  const clock = virtualClock()
  const store = new DatabaseStore({ database, migration, nowMs: time.nowMs, clock })
  if (options.migrated !== false) await store.migrate()
  return { pool, store, schema, migration, clock, ...time }
}

/** A table of the test's own beside the store's. Its name, as SQL. */
export async function tableIn({ schema }: Pick<Bench, 'schema'>, columns: string): Promise<string> {
  const table = `${quoteName(schema)}.${quoteName(`of ${randomUUID()}`)}`
  await administrate(`CREATE TABLE ${table} (${columns})`)
  onTestFinished(async () => void (await administrate(`DROP TABLE IF EXISTS ${table}`)))
  return table
}

/** Another process on the same tables. */
export async function another(connect: Connect, { schema, nowMs }: Bench): Promise<DatabaseStore> {
  const connection = await sharedPool(connect, 'second')
  await warm(connection)
  return new DatabaseStore({
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

/** A table that takes each effect once, as is found out at the commit. */
export async function effects(subject: Bench): Promise<{ table: string; list: () => Promise<unknown[]> }> {
  const table = await tableIn(subject, 'effect text UNIQUE DEFERRABLE INITIALLY DEFERRED')
  return { table, list: () => run(subject.pool, `SELECT effect FROM ${table} ORDER BY effect`) }
}

/** Resolves once a backend is where a test wants it. */
export async function until(pid: number, condition: string): Promise<void> {
  const sql = `SELECT count(*)::int FROM pg_stat_activity WHERE pid = ${pid} AND ${condition}`
  await expect.poll(() => administrate(sql), { timeout: 5000 }).toEqual([1])
}
