/** The Postgres store over time and under rules: upgrades, rights, purges, and a limit that several processes share. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { DatabaseStore } from '../../src/stores/postgres/postgres-store.ts'
import { quoteName } from '../../src/stores/postgres/schema.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { testServersAreThere } from '../support/left-out.ts'
import {
  administrate,
  connectPg,
  connectTo,
  pgPool,
  postgresUrl,
  run,
  type PoolSettings,
} from '../support/postgres.ts'
import { urlOf } from '../support/servers.ts'
import {
  another,
  ask,
  bench,
  type Bench,
  clients,
  columnOf,
  opened,
  releaseShared,
} from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

const inOneGo = { maxKeysPerScope: 100_000 }

/** Tables and functions as version 1 made them. */
async function installVersion1(schema: string, ask: typeof administrate = administrate): Promise<void> {
  const sql = await readFile(new URL('postgres-schema-1.sql', import.meta.url), 'utf8')
  await ask(`BEGIN; ${sql.replaceAll('the schema', schema)} COMMIT`)
}

/** A database of the test's own: what is built CONCURRENTLY waits for all transactions of its database. */
async function ownDatabase(): Promise<string> {
  const name = `holdfast_test_${randomUUID().replaceAll('-', '')}`
  await administrate(`CREATE DATABASE ${name} TEMPLATE template0`)
  onTestFinished(async () => void (await administrate(`DROP DATABASE ${name} WITH (FORCE)`)))
  const own = new URL(url ?? '')
  own.pathname = name
  return own.href
}

const versionIn = (schema: string): Promise<unknown[]> =>
  administrate(`SELECT version FROM ${quoteName(schema)}.holdfast_schema`)

/** What a schema is made of, as the database tells it, without the schema's name. */
async function definitions(schema: string): Promise<string[]> {
  const functions = `SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = '${quoteName(schema)}'::regnamespace`
  const indexes = `SELECT indexdef FROM pg_indexes WHERE schemaname = '${schema}'`
  const found = await administrate(`${functions} UNION ALL ${indexes}`)
  return found.map((definition) => String(definition).replaceAll(schema, 'S')).sort()
}

describe.skipIf(url === undefined).each(clients)('an upgrade through $client', ({ client, connect }) => {
  test('from version 1 keeps what is stored and ends where a new install begins', async () => {
    const fresh = await bench(connect)
    const old = await bench(connect, { migrated: false })
    await installVersion1(old.schema)
    const [running, done] = [ask({ key: 'running' }), ask({ key: 'done' })]
    await old.store.acquire(running)
    await old.store.acquire(done)
    await old.store.complete(done, Uint8Array.of(1, 2))
    const others = await Promise.all(
      [1, 2, 3].map(() => bench(connect, { name: old.schema, migrated: false })),
    )
    await Promise.all([old, ...others].map(({ store }) => store.migrate()))
    expect(await versionIn(old.schema)).toEqual([2])
    expect(await definitions(old.schema)).toEqual(await definitions(fresh.schema))
    expect(await old.store.acquire(ask({ key: 'done' }))).toEqual({
      type: 'done',
      response: Uint8Array.of(1, 2),
    })
    expect(await old.store.complete(running, Uint8Array.of(3))).toBe('completed')
    await old.store.migrate()
    expect(await versionIn(old.schema)).toEqual([2])
  })

  test('finds the index there that somebody made before, without standing in the way', async () => {
    const own = await ownDatabase()
    const [tool, connection] = [pgPool(own), connectTo(own, client)]
    onTestFinished(async () => void (await Promise.all([tool.end(), connection.end()])))
    const ask = (sql: string): Promise<unknown[]> => run(tool, sql)
    await installVersion1('old', ask)
    await ask('CREATE INDEX CONCURRENTLY holdfast_keys_scope_expiry ON old.holdfast_keys (scope, expires_at)')
    const found = "SELECT 'old.holdfast_keys_scope_expiry'::regclass::oid"
    const [index] = await ask(found)
    await postgresStore({ pool: connection.pool, schema: 'old' }).migrate()
    expect(await ask('SELECT version FROM old.holdfast_schema')).toEqual([2])
    expect(await ask(found)).toEqual([index])
  })

  test('that is done already waits for no lock on the table of keys', async () => {
    const { schema, store } = await bench(connect, { ownSchema: true })
    const transaction = await store.begin(undefined)
    if (transaction === 'stale') throw new Error('a transaction without a lease can not be stale')
    onTestFinished(() => transaction.rollback())
    await run(transaction.client, `LOCK TABLE ${quoteName(schema)}.holdfast_keys IN ACCESS EXCLUSIVE MODE`)
    await expect(store.migrate()).resolves.toBeUndefined()
  })

  test('is not needed at once: version 1 serves this version, too', async () => {
    const old = await bench(connect, { migrated: false })
    await installVersion1(old.schema)
    const request = ask()
    expect((await old.store.acquire(request)).type).toBe('acquired')
    expect(await (await opened(old.store, request)).complete(Uint8Array.of(1))).toBe('completed')
    expect((await old.store.acquire(ask())).type).toBe('done')
  })
})

describe.skipIf(url === undefined).each(clients)('a restricted role through $client', ({ connect }) => {
  /** A store whose sessions have the rights of a role that owns nothing. */
  async function restricted(owner: Bench, ...rights: readonly string[]): Promise<DatabaseStore> {
    const role = `holdfast_test_${randomUUID().replaceAll('-', '')}`
    await administrate(`CREATE ROLE ${role}`)
    const schema = quoteName(owner.schema)
    for (const right of rights) await administrate(`GRANT ${right.replace('S.', `${schema}.`)} TO ${role}`)
    const { pool, end } = await connect({ role })
    onTestFinished(async () => {
      await end()
      await administrate(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    })
    const clock = virtualClock()
    const parts = { database: databaseOf(pool, schema, true), nowMs: owner.nowMs, clock }
    return new DatabaseStore({ ...parts, migration: owner.migration })
  }

  const schemaOf = (owner: Bench): string => `USAGE ON SCHEMA ${quoteName(owner.schema)}`
  const keys = 'SELECT, INSERT, UPDATE, DELETE ON S.holdfast_keys'

  test('does all that the store does, with the rights that its page lists', async () => {
    const owner = await bench(connect, { ownSchema: true })
    const store = await restricted(owner, schemaOf(owner), keys, 'SELECT ON S.holdfast_schema')
    await store.migrate()
    const request = ask()
    expect(await store.acquire(request)).toEqual({ type: 'acquired', fence: 1 })
    expect(await store.heartbeat(request)).toBe('extended')
    expect(await store.release(request)).toBe('released')
    expect(await store.acquire(request)).toEqual({ type: 'acquired', fence: 2 })
    owner.advance(30_000)
    expect((await store.acquire(ask())).type).toBe('abandoned')
    const taker = ask({ abandoned: 'takeover' })
    expect(await store.acquire(taker)).toEqual({ type: 'acquired', fence: 3 })
    expect(await (await opened(store, taker)).complete(Uint8Array.of(1))).toBe('completed')
    expect(await store.read(taker)).toEqual(Uint8Array.of(1))
    owner.advance(1e9)
    expect(await store.purge()).toBe(1)
  })

  test('can not migrate without the right to read the version, and is told so', async () => {
    const owner = await bench(connect, { ownSchema: true })
    const store = await restricted(owner, schemaOf(owner), keys)
    await expect(store.migrate()).rejects.toThrow('permission denied for table holdfast_schema')
    expect((await store.acquire(ask())).type).toBe('acquired')
  })

  test.each(['SELECT', 'INSERT', 'UPDATE', 'DELETE'])('can not do everything without %s', async (missing) => {
    const owner = await bench(connect, { ownSchema: true })
    const rest = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].filter((right) => right !== missing)
    const store = await restricted(owner, schemaOf(owner), `${rest.join(', ')} ON S.holdfast_keys`)
    const request = ask()
    const everything = async (): Promise<void> => {
      await store.acquire(request)
      await store.complete(request, Uint8Array.of(1))
      await store.purge()
    }
    await expect(everything()).rejects.toThrow('permission denied for table holdfast_keys')
  })
})

describe.skipIf(url === undefined)('expired rows', () => {
  const count = (subject: Bench): Promise<unknown[]> => columnOf(subject, 'SELECT count(*)::int FROM KEYS')

  test('go with the first key of a process: it may not live to take many', async () => {
    const subject = await bench(connectPg, { ownSchema: true })
    for (let key = 0; key < 20; key++) await subject.store.acquire(ask({ key: `old ${key}` }))
    subject.advance(1e6)
    const second = await another(connectPg, subject)
    await second.acquire(ask({ key: 'new' }))
    expect(await count(subject)).toEqual([1])
  })

  test('go once a minute with the next key of a process that takes few', async () => {
    const subject = await bench(connectPg, { ownSchema: true })
    for (let key = 0; key < 20; key++) await subject.store.acquire(ask({ key: `old ${key}` }))
    subject.advance(1e6)
    await subject.clock.advance(59_999)
    await subject.store.acquire(ask({ key: 'too soon' }))
    expect(await count(subject)).toEqual([21])
    await subject.clock.advance(1)
    await subject.store.acquire(ask({ key: 'in time' }))
    expect(await count(subject)).toEqual([2])
    await subject.store.acquire(ask({ key: 'once' }))
    subject.advance(1e6)
    await subject.clock.advance(59_999)
    await subject.store.acquire(ask({ key: 'too soon again' }))
    expect(await count(subject)).toEqual([4])
  })

  test('that can not be deleted keep no second key from being taken', async () => {
    const subject = await bench(connectPg, { ownSchema: true })
    await subject.store.acquire(ask({ key: 'old' }))
    const schema = quoteName(subject.schema)
    await administrate(`CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'not this row'; END $$`)
    await administrate(`CREATE TRIGGER refuse BEFORE DELETE ON ${schema}.holdfast_keys
      FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`)
    subject.advance(1e6)
    const second = await another(connectPg, subject)
    await expect(second.acquire(ask({ key: 'new' }))).rejects.toThrow('not this row')
    expect(await second.acquire(ask({ key: 'new' }))).toEqual({ type: 'acquired', fence: 1 })
  })

  test('go with the next new key where there was none yet', async () => {
    const subject = await bench(connectPg, { ownSchema: true })
    const { store } = subject
    await store.acquire(ask({ key: 'old', ttlMs: 1000, leaseMs: 1000 }))
    const known = ask({ key: 'known', ttlMs: 1e9 })
    await store.acquire(known)
    subject.advance(1e6)
    const second = await another(connectPg, subject)
    expect((await second.acquire({ ...known, fingerprint: 'g' })).type).toBe('mismatch')
    expect(await count(subject)).toEqual([2])
    await second.acquire(ask({ key: 'new' }))
    expect(await count(subject)).toEqual([2])
  })

  const plans: readonly [string, PoolSettings][] = [
    ['the best plan', {}],
    [
      'nested loops',
      { enable_hashjoin: 'off', enable_mergejoin: 'off', enable_material: 'off', enable_memoize: 'off' },
    ],
  ]

  test.each(plans)('go at most 128 at a time, with %s', async (_, settings) => {
    const subject = await bench(connectPg, { settings, ownSchema: true })
    for (let key = 0; key < 60; key++) await subject.store.acquire(ask({ key: `old ${key}`, ...inOneGo }))
    await columnOf(
      subject,
      `INSERT INTO KEYS SELECT scope, key || '.' || i, state, fingerprint, owner, fence, lease_until, window_end, expires_at
         FROM KEYS, generate_series(1, 4) i`,
    )
    subject.advance(1e6)
    await subject.clock.advance(60_000)
    await subject.store.acquire(ask({ key: 'new', ...inOneGo }))
    expect(await count(subject)).toEqual([5 * 60 - 128 + 1])
  })
})

describe.skipIf(url === undefined)('a limit that processes share', () => {
  const limit = { maxKeysPerScope: 160 }

  /** Takes keys until there is no room, and says how many. */
  async function fill(store: DatabaseStore): Promise<number> {
    for (let taken = 0; taken < 1000; taken++) {
      const { type } = await store.acquire(ask({ key: randomUUID(), ...limit }))
      if (type === 'full') return taken
    }
    return 1000
  }

  test('is exceeded by a sixteenth of the room for each further process, not by more', async () => {
    const first = await bench(connectPg, { ownSchema: true })
    const others = [await another(connectPg, first), await another(connectPg, first)]
    // They have counted while there was most room, and may add a sixteenth of what was left then.
    for (const other of others) await other.acquire(ask({ key: randomUUID(), ...limit }))
    expect(await fill(first.store)).toBe(158)
    expect(await fill(others[0] ?? first.store)).toBe(Math.floor(159 / 16))
    expect(await fill(others[1] ?? first.store)).toBe(Math.floor(158 / 16))
    expect(await fill(first.store)).toBe(0)
  })

  test('is kept by one process', async () => {
    const { store } = await bench(connectPg)
    expect(await fill(store)).toBe(160)
  })

  test('is counted in an index', async () => {
    const subject = await bench(connectPg, { ownSchema: true })
    await columnOf(
      subject,
      `INSERT INTO KEYS SELECT 'scope ' || i % 10, i::text, 'active', 'f', 'o', 1, now(), now(), now() + i * interval '1s'
         FROM generate_series(1, 5000) i`,
    )
    await columnOf(subject, 'ANALYZE KEYS')
    // What the function itself reads, as the server counts it within a transaction: statements sent together are in one.
    const schema = quoteName(subject.schema)
    const scans = (relation: string): string =>
      `pg_stat_get_xact_numscans('${schema}.${relation}'::regclass)::int`
    const found = await administrate(
      `SELECT ${schema}.holdfast_room('scope 1', 400, now());
       SELECT unnest(ARRAY[${scans('holdfast_keys_scope_expiry')}, ${scans('holdfast_keys')}])`,
    )
    expect(found).toEqual([1, 0])
  })
})
