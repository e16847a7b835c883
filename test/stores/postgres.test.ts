/** What is special about Postgres; everything that all stores promise is in the conformance suite. */
import { randomBytes, randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/index.ts'
import type { AcquireRequest, AcquireResult } from '../../src/idempotency/store.ts'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import { postgresMigration, postgresStore, type PostgresPool } from '../../src/stores/postgres/index.ts'
import { DatabaseStore } from '../../src/stores/postgres/postgres-store.ts'
import { migrationSql, quoteName } from '../../src/stores/postgres/schema.ts'
import { testServersAreThere } from '../support/left-out.ts'
import {
  administrate,
  CONNECTIONS,
  postgresUrl,
  run,
  terminate,
  warm,
  type PoolSettings,
} from '../support/postgres.ts'
import { urlOf } from '../support/servers.ts'
import {
  another,
  ask,
  backend,
  bench,
  type Bench,
  clients,
  columnOf,
  opened,
  releaseShared,
  tableIn,
  effects,
  until,
} from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

/** Fifty requests for one key by two processes, of which as many as there are connections start at the same moment. */
async function atOnce(
  first: Bench,
  second: DatabaseStore,
  overrides: Partial<AcquireRequest>,
): Promise<AcquireResult[]> {
  await warm(first)
  const holder = new pg.Client(url)
  await holder.connect()
  const table = `${quoteName(first.schema)}.holdfast_keys`
  await holder.query(`BEGIN; LOCK TABLE ${table}`)
  const asked = Array.from({ length: 50 }, (_, index) =>
    (index % 2 ? second : first.store).acquire(ask(overrides)),
  )
  const waiting = `SELECT count(*)::int FROM pg_locks WHERE relation = '${table}'::regclass AND NOT granted`
  try {
    await expect.poll(() => administrate(waiting), { timeout: 5000 }).toEqual([2 * CONNECTIONS])
    await holder.query('COMMIT')
  } finally {
    // A lock that outlives a failed poll would hang every later test of this file.
    await holder.end()
  }
  return Promise.all(asked)
}

describe.skipIf(url === undefined).each(clients)('postgres through $client', ({ connect }) => {
  test('gives a key to exactly one of fifty, in two processes', async () => {
    const first = await bench(connect)
    const second = await another(connect, first)
    const results = await atOnce(first, second, {})
    expect(results.filter(({ type }) => type === 'acquired')).toEqual([{ type: 'acquired', fence: 1 }])
    expect(results.filter(({ type }) => type === 'busy')).toHaveLength(49)
  })

  test('gives an abandoned key to exactly one of fifty, in two processes', async () => {
    const first = await bench(connect)
    const lost = ask({ leaseMs: 1 })
    await first.store.acquire(lost)
    first.advance(1)
    const second = await another(connect, first)
    const results = await atOnce(first, second, { abandoned: 'takeover' })
    expect(results.filter(({ type }) => type === 'acquired')).toEqual([{ type: 'acquired', fence: 2 }])
    expect(await first.store.heartbeat(lost)).toBe('lost')
  })

  test('keeps a lease as long as the latest heartbeat says, also where an earlier one comes after it', async () => {
    const subject = await bench(connect)
    const request = ask()
    await subject.store.acquire(request)
    for (const ms of [20_000, -20_000]) {
      subject.advance(ms)
      expect(await subject.store.heartbeat(request)).toBe('extended')
    }
    subject.advance(49_999)
    expect(await subject.store.acquire(ask())).toEqual({ type: 'busy', retryAfterMs: 1 })
  })

  test.each(['repeatable read', 'serializable'])('works where %s is the default', async (level) => {
    const settings = { default_transaction_isolation: level }
    const subject = await bench(connect, { settings })
    const { store } = subject
    await warm(subject)
    const requests = Array.from({ length: 20 }, () => ask())
    const results = await Promise.all(requests.map((request) => store.acquire(request)))
    expect(results.filter(({ type }) => type === 'acquired')).toHaveLength(1)
    const owner = requests[results.findIndex(({ type }) => type === 'acquired')] ?? ask()
    const transaction = await opened(store, owner)
    expect(await transaction.complete(Uint8Array.of(1))).toBe('completed')
    expect(await store.acquire(ask())).toMatchObject({ type: 'done' })
  })

  test('asks as READ COMMITTED where the server refuses who came second under its default', async () => {
    const settings = { default_transaction_isolation: 'serializable' }
    const subject = await bench(connect, { settings, ownSchema: true })
    const schema = quoteName(subject.schema)
    // As the server does to some of many that come at once, here to all of them.
    await administrate(`
      CREATE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
          RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
        END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ${schema}.holdfast_keys
        FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`)
    const request = ask({ scope: "it's" })
    expect(await subject.store.acquire(request)).toEqual({ type: 'acquired', fence: 1 })
    expect(await subject.store.complete(request, Uint8Array.of(1, 2))).toBe('completed')
    expect(await run(subject.pool, 'SHOW transaction_isolation')).toEqual(['serializable'])
  })

  test('keeps every text and every byte apart and as it is, whatever it looks like', async () => {
    const { store } = await bench(connect)
    const texts = ["a'b", '"', String.raw`\'; DROP TABLE x; --`, '$1', '%27', "'", '日本', '\ud800', '\udfff']
    const long = randomBytes(5000).toString('hex')
    for (const text of [...texts, '\0', '%0000', long, `${long}y`]) {
      for (const names of [{ scope: text }, { key: text }]) {
        const request = ask({ ...names, fingerprint: text, owner: `${text} ${randomUUID()}` })
        expect(await store.acquire(request)).toEqual({ type: 'acquired', fence: 1 })
        const transaction = await opened(store, request)
        expect(await transaction.complete(Buffer.from(text))).toBe('completed')
        expect(await store.read(request)).toEqual(new Uint8Array(Buffer.from(text)))
      }
    }
  })

  test('gives a mebibyte back as it was, also from a transaction', async () => {
    const { store } = await bench(connect)
    const request = ask()
    const response = Uint8Array.from({ length: 1_048_576 }, (_, index) => (index * 31) % 251)
    await store.acquire(request)
    await (await opened(store, request)).complete(response.subarray(1))
    const result = await store.acquire(ask())
    expect(result.type === 'done' && Buffer.from(result.response).equals(response.subarray(1))).toBe(true)
  })

  test('is migrated by several processes at once, and again', async () => {
    const subject = await bench(connect, { migrated: false })
    const others = await Promise.all(
      [1, 2, 3].map(() => connect({ default_transaction_isolation: 'serializable' })),
    )
    onTestFinished(async () => void (await Promise.all(others.map(({ end }) => end()))))
    const stores = others.map(({ pool }) => postgresStore({ pool, schema: subject.schema }))
    await Promise.all([...stores, ...stores, subject.store].map((store) => store.migrate()))
    await subject.store.acquire(ask())
    await stores[0]?.migrate()
    expect((await subject.store.acquire(ask())).type).toBe('busy')
  })

  test('lives in a schema of any name', async () => {
    const { store } = await bench(connect, { name: `S. "it's" $holdfast$ $f$ ${randomUUID().slice(0, 8)}` })
    await store.acquire(ask())
    expect((await store.acquire(ask())).type).toBe('busy')
  })

  test('lives in one whose name has backslashes where they stand for something in texts', async () => {
    const name = `a\\' \\\\ ${randomUUID().slice(0, 8)}\\`
    const settings = { standard_conforming_strings: 'off', escape_string_warning: 'off' }
    const { store } = await bench(connect, { name, settings })
    await store.migrate()
    const request = ask({ key: String.raw`k\'` })
    expect((await store.acquire(request)).type).toBe('acquired')
    expect(await (await opened(store, request)).complete(Uint8Array.of(1))).toBe('completed')
  })

  test('refuses tables of a later version, and of somebody else', async () => {
    const subject = await bench(connect, { ownSchema: true })
    const schema = quoteName(subject.schema)
    await administrate(`UPDATE ${schema}.holdfast_schema SET version = 3`)
    await expect(subject.store.migrate()).rejects.toThrow('have version 3, this package knows 2')
    await administrate(`DROP TABLE ${schema}.holdfast_schema`)
    await expect(subject.store.migrate()).rejects.toThrow('has a table holdfast_keys that is not of Holdfast')
    // What was refused has left the connection in order.
    expect((await subject.store.acquire(ask())).type).toBe('acquired')
  })

  test('says what is to be done where the tables are missing', async () => {
    const { store } = await bench(connect, { migrated: false })
    await expect(store.acquire(ask())).rejects.toThrow('call migrate() first')
    await expect(store.begin(ask())).rejects.toThrow('call migrate() first')
  })

  test.each([
    "UPDATE KEYS SET state = 'lost'",
    "UPDATE KEYS SET state = 'done'",
    "UPDATE KEYS SET response = 'x'",
    'UPDATE KEYS SET fence = 0',
    'UPDATE KEYS SET owner = NULL',
    'UPDATE KEYS SET lease_until = NULL',
  ])('refuses a row that it never wrote: %s', async (sql) => {
    const subject = await bench(connect, { ownSchema: true })
    await subject.store.acquire(ask())
    await expect(columnOf(subject, sql)).rejects.toThrow(/constraint/)
    await columnOf(subject, 'ALTER TABLE KEYS DROP CONSTRAINT holdfast_keys_state_check')
    await columnOf(subject, 'ALTER TABLE KEYS DROP CONSTRAINT holdfast_keys_fence_check')
    await columnOf(subject, 'ALTER TABLE KEYS DROP CONSTRAINT holdfast_keys_check')
    await columnOf(subject, 'ALTER TABLE KEYS ALTER owner DROP NOT NULL, ALTER lease_until DROP NOT NULL')
    await columnOf(subject, sql)
    await expect(subject.store.acquire(ask())).rejects.toThrow('holds what Holdfast never wrote')
  })

  test('purges what has expired, all of it, and nothing else', async () => {
    const subject = await bench(connect)
    await Promise.all(
      Array.from({ length: 1100 }, (_, key) =>
        subject.store.acquire(ask({ key: `${key}`, maxKeysPerScope: 5000 })),
      ),
    )
    subject.advance(30_000)
    const kept = ask({ key: 'kept', scope: 'other' })
    await subject.store.acquire(kept)
    await subject.store.complete(kept, Uint8Array.of(1))
    subject.advance(30_000)
    expect(await subject.store.purge()).toBe(1100)
    expect(await columnOf(subject, 'SELECT key FROM KEYS')).toEqual(['kept'])
    expect((await subject.store.acquire(ask({ key: 'kept', scope: 'other' }))).type).toBe('done')
    expect(await subject.store.purge()).toBe(0)
  })

  test('leaves a row that somebody is at to the next purge', async () => {
    const subject = await bench(connect)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    subject.advance(1e9)
    expect(await subject.store.purge()).toBe(0)
    expect(await transaction.complete(Uint8Array.of(1))).toBe('completed')
    expect((await subject.store.acquire(ask())).type).toBe('done')
  })

  test('deletes expired rows in batches, while new keys come', async () => {
    const subject = await bench(connect)
    for (let key = 0; key < 100; key++) await subject.store.acquire(ask({ key: `old ${key}` }))
    subject.advance(1e6)
    for (let key = 0; key < 70; key++) await subject.store.acquire(ask({ key: `new ${key}` }))
    expect(await columnOf(subject, "SELECT count(*)::int FROM KEYS WHERE key LIKE 'old%'")).toEqual([0])
    expect(await columnOf(subject, "SELECT count(*)::int FROM KEYS WHERE key LIKE 'new%'")).toEqual([70])
  })

  test('counts keys often enough to keep a limit that is not small', async () => {
    const subject = await bench(connect)
    const { store } = subject
    const limit = (key: number): AcquireRequest => ask({ key: `${key}`, maxKeysPerScope: 100 })
    for (let key = 0; key < 100; key++) expect((await store.acquire(limit(key))).type).toBe('acquired')
    const full = { type: 'full', limit: 'scope', retryAfterMs: 60_000 }
    expect(await store.acquire(limit(100))).toEqual(full)
    expect(await store.acquire(limit(100))).toEqual(full)
    expect((await store.acquire(limit(99))).type).toBe('busy')
    // Until the first of its keys expires a full scope is not looked at again.
    await columnOf(subject, 'DELETE FROM KEYS')
    expect(await store.acquire(limit(100))).toEqual(full)
    subject.advance(60_000)
    expect((await store.acquire(limit(100))).type).toBe('acquired')
  })

  test('looks at a full scope again after a minute: another process may have made room', async () => {
    const subject = await bench(connect)
    const limit = (key: string): AcquireRequest => ask({ key, maxKeysPerScope: 1 })
    await subject.store.acquire(limit('1'))
    expect((await subject.store.acquire(limit('2'))).type).toBe('full')
    await columnOf(subject, 'DELETE FROM KEYS')
    await subject.clock.advance(59_999)
    expect((await subject.store.acquire(limit('2'))).type).toBe('full')
    await subject.clock.advance(1)
    expect((await subject.store.acquire(limit('2'))).type).toBe('acquired')
  })

  test('tells who was overtaken in a transaction what its successor has recorded', async () => {
    const { pool, schema } = await bench(connect)
    const store = postgresStore({ pool, schema })
    const orders = await tableIn({ schema }, 'run int')
    let runs = 0
    const handler = idempotency({ store, transactional: true, leaseMs: 500 })((request) =>
      idempotencyOf(request).transaction(async (client) => {
        const order = ++runs
        await run(client, `INSERT INTO ${orders} VALUES (${order})`)
        // Postgres ends what has been idle for a lease.
        if (order === 1) await new Promise((resolve) => setTimeout(resolve, 1500))
        return new Response(`order ${order}`)
      }),
    )
    const send = async (): Promise<string> => {
      const init = { method: 'POST', headers: { 'idempotency-key': 'k' } }
      return (await handler(new Request('http://a.test/', init))).text()
    }
    const first = send()
    await expect.poll(() => runs, { interval: 5 }).toBe(1)
    await expect.poll(send, { interval: 20 }).toBe('order 2')
    expect(await first).toBe('order 2')
    expect(await run(pool, `SELECT run FROM ${orders}`)).toEqual([2])
  })

  test('finds a key busy whose owner has a transaction open, without waiting for it, whatever its lease', async () => {
    const subject = await bench(connect)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    subject.advance(31_000)
    for (const abandoned of ['block', 'takeover'] as const) {
      expect(await subject.store.acquire(ask({ abandoned }))).toEqual({ type: 'busy', retryAfterMs: 1000 })
    }
    await transaction.rollback()
    expect(await subject.store.acquire(ask())).toEqual({ type: 'abandoned' })
  })

  test('rolls back what an owner did whose key was taken over before its transaction', async () => {
    const subject = await bench(connect)
    const slow = ask()
    await subject.store.acquire(slow)
    subject.advance(30_001)
    await subject.store.acquire(ask({ abandoned: 'takeover' }))
    expect(await subject.store.begin(slow)).toBe('stale')
    expect(await subject.store.begin(ask({ key: 'never acquired' }))).toBe('stale')
  })

  test("undoes everything where the key is no longer the owner's at the end of its transaction", async () => {
    const subject = await bench(connect)
    const { table, list } = await effects(subject)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('order')`)
    const keys = `${quoteName(subject.schema)}.holdfast_keys`
    await run(transaction.client, `UPDATE ${keys} SET owner = 'somebody else'`)
    expect(await transaction.complete(Uint8Array.of(1))).toBe('stale')
    await transaction.rollback()
    expect(await list()).toEqual([])
    expect(await subject.store.complete(request, Uint8Array.of(1))).toBe('completed')
  })

  test('ends with the connection: everything is undone, the error says so, and the pool is in order', async () => {
    const subject = await bench(connect, { max: 1 })
    const { table } = await effects(subject)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('order')`)
    await terminate(await backend(transaction.client))
    await expect(run(transaction.client, `INSERT INTO ${table} VALUES ('late')`)).rejects.toThrow(
      /connection|ECONNRESET/i,
    )
    await expect(run(transaction.client, 'SELECT 1')).rejects.toThrow(/connection|ECONNRESET/i)
    await expect(transaction.complete(Uint8Array.of(1))).rejects.toThrow(/connection|ECONNRESET/i)
    await transaction.rollback()
    expect(await run(subject.pool, `SELECT effect FROM ${table}`)).toEqual([])
    // With a pool of one, a connection that was not given back would be missed here.
    const again = await opened(subject.store, request)
    expect(await again.complete(Uint8Array.of(2))).toBe('completed')
  })

  test('rolls back a transaction whose connection broke', async () => {
    const subject = await bench(connect, { max: 1 })
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    await terminate(await backend(transaction.client))
    await expect(transaction.rollback()).resolves.toBeUndefined()
    expect(await subject.store.heartbeat(request)).toBe('extended')
  })

  test('does not commit what a handler let fail', async () => {
    const subject = await bench(connect, { max: 1 })
    const { table, list } = await effects(subject)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('order')`)
    await run(transaction.client, 'SELECT 1 / 0').catch(() => undefined)
    await expect(transaction.complete(Uint8Array.of(1))).rejects.toThrow(/aborted|division by zero/)
    await expect(transaction.rollback()).resolves.toBeUndefined()
    expect(await list()).toEqual([])
    expect(await subject.store.read(request)).toBeUndefined()
  })

  test('knows that a commit which the database refuses has not happened', async () => {
    const subject = await bench(connect, { max: 1 })
    const { table, list } = await effects(subject)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('twice'), ('twice')`)
    await expect(transaction.complete(Uint8Array.of(1))).rejects.toThrow(/duplicate key/)
    await expect(transaction.rollback()).resolves.toBeUndefined()
    expect(await list()).toEqual([])
    expect(await subject.store.release(request)).toBe('released')
  })

  test('waits for a commit that is on its way when it is told to roll back', async () => {
    const subject = await bench(connect)
    const { table, list } = await effects(subject)
    const request = ask()
    await subject.store.acquire(request)
    const transaction = await opened(subject.store, request)
    const pid = await backend(transaction.client)
    const other = await opened(subject.store, undefined)
    await run(other.client, `INSERT INTO ${table} VALUES ('one')`)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('one')`)
    const order: string[] = []
    const completing = transaction.complete(Uint8Array.of(1)).then((result) => order.push(result))
    await until(pid, "wait_event_type = 'Lock'")
    const rolling = transaction.rollback().then(() => order.push('rolled back'))
    await other.rollback()
    await Promise.all([completing, rolling])
    expect(order).toEqual(['completed', 'rolled back'])
    expect(await list()).toEqual(['one'])
  })

  test('notices that a transaction was ended by the application', async () => {
    const subject = await bench(connect, { max: 1 })
    const request = ask()
    await subject.store.acquire(request)
    for (const rest of ['COMMIT', 'COMMIT; BEGIN']) {
      const transaction = await opened(subject.store, request)
      await run(transaction.client, rest.split('; ')[0] ?? '')
      if (rest.includes('BEGIN')) await run(transaction.client, 'BEGIN')
      await expect(transaction.complete(Uint8Array.of(1))).rejects.toThrow('was ended inside transaction(fn)')
      await expect(transaction.rollback()).rejects.toThrow('nobody knows whether the commit succeeded')
    }
    const transaction = await opened(subject.store, request)
    await run(transaction.client, 'COMMIT')
    await expect(transaction.rollback()).rejects.toThrow('was ended inside transaction(fn)')
    expect((await subject.store.acquire(ask())).type).toBe('busy')
  })

  test('without a lease commits or rolls back, and has nothing to complete', async () => {
    const subject = await bench(connect, { max: 1 })
    const { table, list } = await effects(subject)
    const first = await opened(subject.store, undefined)
    await run(first.client, `INSERT INTO ${table} VALUES ('first')`)
    await expect(first.complete(Uint8Array.of(1))).rejects.toThrow('without a lease has nothing to complete')
    await first.commit()
    await first.rollback()
    await expect(first.commit()).rejects.toThrow('the transaction has ended')
    const second = await opened(subject.store, undefined)
    await run(second.client, `INSERT INTO ${table} VALUES ('second')`)
    await second.rollback()
    await second.rollback()
    expect(await list()).toEqual(['first'])
  })

  test('lets the server end a transaction that stands still for longer than its lease, or than it was told', async () => {
    const shown = async (settings: PoolSettings): Promise<unknown[]> => {
      const { store, pool } = await bench(connect, { settings, max: 1 })
      const request = ask({ leaseMs: 20_000 })
      await store.acquire(request)
      const transaction = await opened(store, request)
      const inside = await run(transaction.client, 'SHOW idle_in_transaction_session_timeout')
      await transaction.rollback()
      return [...inside, ...(await run(pool, 'SHOW idle_in_transaction_session_timeout'))]
    }
    expect(await shown({ idle_in_transaction_session_timeout: '0' })).toEqual(['20s', '0'])
    expect(await shown({ idle_in_transaction_session_timeout: '1min' })).toEqual(['20s', '1min'])
    expect(await shown({ idle_in_transaction_session_timeout: '5s' })).toEqual(['5s', '5s'])
  })

  test.each(['0', '45s'])('leaves the idle limit of a session alone without a lease: %s', async (limit) => {
    const { store } = await bench(connect, { settings: { idle_in_transaction_session_timeout: limit } })
    const transaction = await opened(store, undefined)
    expect(await run(transaction.client, 'SHOW idle_in_transaction_session_timeout')).toEqual([limit])
    await transaction.rollback()
  })

  test('hands on what a server says that is asked too long', async () => {
    const subject = await bench(connect, { settings: { statement_timeout: '700' }, migrated: false })
    const { pool, end } = await connect({}, 1)
    onTestFinished(end)
    const database = databaseOf(pool, quoteName(subject.schema), true)
    // Who is patient migrates: that may take longer on a busy machine.
    const other = new DatabaseStore({ database, migration: migrationSql(subject.schema) })
    await other.migrate()
    await subject.store.acquire(ask())
    const holder = await opened(other, undefined)
    onTestFinished(() => holder.rollback())
    await run(holder.client, `LOCK TABLE ${quoteName(subject.schema)}.holdfast_keys`)
    await expect(subject.store.acquire(ask())).rejects.toThrow(/statement timeout/)
    await holder.rollback()
    expect((await subject.store.acquire(ask())).type).toBe('busy')
  })

  test('finds a key busy where a lock stands in the way for longer than a second', async () => {
    const subject = await bench(connect)
    const holder = await opened(subject.store, undefined)
    onTestFinished(() => holder.rollback())
    await run(holder.client, `LOCK TABLE ${quoteName(subject.schema)}.holdfast_keys`)
    expect(await subject.store.acquire(ask())).toEqual({ type: 'busy', retryAfterMs: 1000 })
    await holder.rollback()
  })
})

describe('the options', () => {
  const pool = { query: async () => ({}), connect: async () => ({}) } as unknown as PostgresPool
  test.each([
    [
      { pool: undefined },
      'postgresStore: pool should be a Pool of pg (with query and connect) or the sql function',
    ],
    [{ pool: { query: () => {} } }, 'got an object with query'],
    [{ pool: () => {} }, 'of postgres (with unsafe and begin), got a function'],
    [{ pool, schema: '' }, 'postgresStore: schema should be the name of a schema, got ""'],
    [{ pool, schema: 'x'.repeat(64) }, 'postgresStore: schema should be the name of a schema'],
    [{ pool, schema: 'a\0' }, 'postgresStore: schema should be the name of a schema'],
    [
      { pool, preparedStatements: 1 },
      'postgresStore: preparedStatements should be one of true, false, got 1',
    ],
    [{ pool, table: 'x' }, 'postgresStore has no option "table"'],
  ])('%o are refused', (options, message) => {
    expect(() => postgresStore(options as Parameters<typeof postgresStore>[0])).toThrow(message)
  })

  test('undefined is not given', () => {
    const nothing: object = { schema: undefined, preparedStatements: undefined }
    expect(() => postgresStore({ pool, ...nothing })).not.toThrow()
  })

  test('the migration is there as a text, too', () => {
    expect(postgresMigration()).toContain('CREATE TABLE "public".holdfast_keys')
    expect(postgresMigration('a"b')).toContain('CREATE TABLE "a""b".holdfast_keys')
    expect(() => postgresMigration('')).toThrow('postgresMigration: schema should be the name of a schema')
  })
})
