/** What is special about Postgres; everything that all stores promise is in the conformance suite. */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { idempotency, idempotencyOf } from '../../src/idempotency/index.ts'
import type { AcquireRequest, AcquireResult, StoreTransaction } from '../../src/idempotency/store.ts'
import { databaseOf } from '../../src/stores/postgres/client.ts'
import { postgresMigration, postgresStore, type PostgresPool } from '../../src/stores/postgres/index.ts'
import { SqlStore } from '../../src/stores/postgres/postgres-store.ts'
import { migrationSql, quoteName } from '../../src/stores/postgres/schema.ts'
import { testServersAreThere } from '../support/left-out.ts'
import {
  administrate,
  CONNECTIONS,
  connectPg,
  connectPostgresJs,
  pgPool,
  postgresUrl,
  run,
  temporarySchema,
  terminate,
  warm,
  type PoolSettings,
  type PostgresConnection,
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
} from './postgres-bench.ts'

const url = await urlOf(postgresUrl)
testServersAreThere()
afterAll(releaseShared)

/** Fifty requests for one key by two processes, of which as many as there are connections start at the same moment. */
async function atOnce(
  first: Bench,
  second: SqlStore,
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
  await expect.poll(() => administrate(waiting)).toEqual([2 * CONNECTIONS])
  await holder.query('COMMIT')
  await holder.end()
  return Promise.all(asked)
}

async function effects(subject: Bench): Promise<{ table: string; list: () => Promise<unknown[]> }> {
  const table = await tableIn(subject, 'effect text UNIQUE DEFERRABLE INITIALLY DEFERRED')
  return { table, list: () => run(subject.pool, `SELECT effect FROM ${table} ORDER BY effect`) }
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
    const other = new SqlStore({ database, migration: migrationSql(subject.schema) })
    await other.migrate()
    await subject.store.acquire(ask())
    const holder = await opened(other, undefined)
    await run(holder.client, `LOCK TABLE ${quoteName(subject.schema)}.holdfast_keys`)
    await expect(subject.store.acquire(ask())).rejects.toThrow(/statement timeout/)
    await holder.rollback()
    expect((await subject.store.acquire(ask())).type).toBe('busy')
  })

  test('finds a key busy where a lock stands in the way for longer than a second', async () => {
    const subject = await bench(connect)
    const holder = await opened(subject.store, undefined)
    await run(holder.client, `LOCK TABLE ${quoteName(subject.schema)}.holdfast_keys`)
    expect(await subject.store.acquire(ask())).toEqual({ type: 'busy', retryAfterMs: 1000 })
    await holder.rollback()
  })
})

describe.skipIf(url === undefined)('the round trips', () => {
  /** What each operation sends through pg. */
  async function sentBy(work: (store: SqlStore) => Promise<unknown>): Promise<number> {
    const { pool, schema, store } = await bench(connectPg)
    await store.acquire(ask({ key: 'connects' }))
    let sent = 0
    const counting = <T extends pg.Pool | pg.PoolClient>(target: T): T => {
      const query = target.query.bind(target) as (...args: unknown[]) => unknown
      return Object.assign(target, { query: (...args: unknown[]) => (sent++, query(...args)) })
    }
    const real = pool as pg.Pool
    // The pool's own query uses its clients, so that there are two layers to count at.
    const inTransaction = async (): Promise<pg.PoolClient> => counting(await real.connect())
    const counted = { query: real.query.bind(real), connect: inTransaction } as unknown as pg.Pool
    const database = databaseOf(counting(counted), quoteName(schema), true)
    await work(new SqlStore({ database, migration: '' }))
    return sent
  }

  test('of an execution are two, of a replay one', async () => {
    const request = ask()
    const execution = async (store: SqlStore): Promise<void> => {
      await store.acquire(request)
      await store.complete(request, Uint8Array.of(1))
    }
    expect(await sentBy(execution)).toBe(2)
    const replayed = await sentBy(async (store) => {
      await execution(store)
      expect((await store.acquire(ask())).type).toBe('done')
    })
    expect(replayed).toBe(3)
  })

  test('of an execution in a transaction are three: one more than BEGIN and COMMIT', async () => {
    const request = ask()
    const sent = await sentBy(async (store) => {
      await store.acquire(request)
      expect(await (await opened(store, request)).complete(Uint8Array.of(1))).toBe('completed')
    })
    expect(sent).toBe(3)
  })

  test('through postgres.js are two more statements in a transaction, the last two in one go', async () => {
    const schema = await temporarySchema()
    const statements: string[] = []
    const debug = (_: number, sql: string): void => void statements.push(sql)
    const sql = postgres(url ?? '', { max: 1, debug, fetch_types: false })
    onTestFinished(async () => {
      await sql.end({ timeout: 1 })
      await schema[Symbol.asyncDispose]()
    })
    const store = postgresStore({ pool: sql, schema: schema.name })
    await store.migrate()
    statements.length = 0
    const request = ask()
    await store.acquire(request)
    expect(await (await opened(store, request)).complete(Uint8Array.of(1))).toBe('completed')
    const words = statements.map((text) => /holdfast_(\w+)|\w+/.exec(text.replace(/.*\./, ''))?.[0])
    expect(words).toEqual(['holdfast_acquire', 'begin', 'holdfast_lock', 'holdfast_finish', 'commit'])
  })

  test('of a replay write nothing', async () => {
    const { pool, store } = await bench(connectPg, { max: 1 })
    const request = ask()
    await store.acquire(request)
    await store.complete(request, Uint8Array.of(1))
    const transaction = await (pool as pg.Pool).connect()
    await transaction.query('BEGIN')
    transaction.release()
    expect((await store.acquire(ask())).type).toBe('done')
    expect(await run(pool, 'SELECT pg_current_xact_id_if_assigned()')).toEqual([null])
    await run(pool, 'ROLLBACK')
  })
})

describe.skipIf(url === undefined)('where the connection breaks', () => {
  /** A way to the server that can be cut. */
  async function cuttable(): Promise<{ url: string; cut: (how: Cut) => void }> {
    const { hostname, port } = new URL(url ?? '')
    const sockets: Socket[] = []
    const server = createServer((near) => {
      const far = connectSocket(Number(port), hostname)
      sockets.push(near, far)
      for (const socket of [near, far]) socket.on('error', () => {})
      near.pipe(far).pipe(near)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const way = new URL(url ?? '')
    way.port = String((server.address() as AddressInfo).port)
    return { url: way.href, cut: (how) => sockets.splice(0).forEach((socket) => socket[how]()) }
  }

  type Cut = 'end' | 'destroy' | 'resetAndDestroy'
  const ways: readonly { client: string; how: Cut }[] = (['pg', 'postgres.js'] as const).flatMap((client) =>
    (['end', 'destroy', 'resetAndDestroy'] as const).map((how) => ({ client, how })),
  )

  test.each(ways)(
    'nothing later in the transaction runs, and nothing crashes: $client, $how',
    async (way) => {
      const server = await cuttable()
      const schema = await temporarySchema()
      const connection = connectTo(server.url, way.client)
      onTestFinished(async () => {
        await connection.end()
        await schema[Symbol.asyncDispose]()
      })
      const store = postgresStore({ pool: connection.pool, schema: schema.name })
      await store.migrate()
      const request = ask()
      await store.acquire(request)
      const { client, complete, rollback } = bound(await opened(store, request))
      const pid = await backend(client)
      const asleep = run(client, 'SELECT pg_sleep(60)')
      const table = `${quoteName(schema.name)}.late`
      // A handler that goes on at once, as after a failure it thinks it can live with.
      const goingOn = asleep.catch(() => run(client, `CREATE TABLE ${table} (x int)`))
      await until(pid, "wait_event = 'PgSleep'")
      server.cut(way.how)
      await expect(goingOn).rejects.toThrow(/connection/i)
      await expect(run(client, `CREATE TABLE ${table} (x int)`)).rejects.toThrow(/connection/i)
      await expect(complete(Uint8Array.of(1))).rejects.toThrow(/connection|ECONNRESET/i)
      await expect(rollback()).resolves.toBeUndefined()
      // The server would notice when it has slept.
      await terminate(pid)
      expect(await administrate(`SELECT to_regclass('${table}')`)).toEqual([null])
      expect(await administrate(`SELECT state FROM ${quoteName(schema.name)}.holdfast_keys`)).toEqual([
        'active',
      ])
    },
  )

  test('nothing later in a savepoint runs, either', async () => {
    const server = await cuttable()
    const { schema } = await bench(connectPg)
    const connection = connectTo(server.url, 'postgres.js')
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool, schema })
    const { client, rollback } = bound(await opened(store, undefined))
    const pid = await backend(client)
    const failed = (client as postgres.TransactionSql).savepoint(async (inner) => {
      await inner`SELECT pg_sleep(60)`.catch(() => undefined)
      return inner`SELECT 1`
    })
    await until(pid, "wait_event = 'PgSleep'")
    server.cut('end')
    await expect(failed).rejects.toThrow(/connection/i)
    await expect(rollback()).resolves.toBeUndefined()
    await terminate(pid)
  })

  test.each(['pg', 'postgres.js'])('while the commit is on its way, nobody knows: %s', async (client) => {
    const server = await cuttable()
    const subject = await bench(connectPg)
    const { table } = await effects(subject)
    const connection = connectTo(server.url, client)
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool, schema: subject.schema })
    const request = ask({ leaseMs: 3_000_000 })
    await store.acquire(request)
    const transaction = await opened(store, request)
    const pid = await backend(transaction.client)
    // A commit that takes its time: whether its deferred constraint holds depends on another transaction.
    const other = await opened(subject.store, undefined)
    await run(other.client, `INSERT INTO ${table} VALUES ('one')`)
    await run(transaction.client, `INSERT INTO ${table} VALUES ('one')`)
    const completing = transaction.complete(Uint8Array.of(1)).catch((error: unknown) => error)
    await until(pid, "wait_event_type = 'Lock'")
    server.cut('destroy')
    expect(String(await completing)).toMatch(/connection|ECONNRESET/i)
    await expect(transaction.rollback()).rejects.toThrow('nobody knows whether the commit succeeded')
    await other.rollback()
    await expect.poll(() => subject.store.read(request)).toEqual(Uint8Array.of(1))
  })
})

/** Resolves once a backend is where a test wants it. */
async function until(pid: number, condition: string): Promise<void> {
  const sql = `SELECT count(*)::int FROM pg_stat_activity WHERE pid = ${pid} AND ${condition}`
  await expect.poll(() => administrate(sql), { timeout: 5000 }).toEqual([1])
}

function connectTo(url: string, client: string): PostgresConnection {
  if (client === 'pg') {
    const pool = pgPool(url)
    return { pool, end: () => pool.end() }
  }
  const sql = postgres(url, { max: 10, onnotice: () => {} })
  return { pool: sql, end: () => sql.end({ timeout: 1 }) }
}

function bound(transaction: StoreTransaction): {
  client: unknown
  complete: (response: Uint8Array) => Promise<string>
  rollback: () => Promise<void>
} {
  return {
    client: transaction.client,
    complete: (response) => transaction.complete(response),
    rollback: () => transaction.rollback(),
  }
}

describe.skipIf(url === undefined)('a client', () => {
  test('may rename columns, and read bytes in its own way', async () => {
    const schema = await temporarySchema()
    const transform = { ...postgres.pascal, undefined: null }
    const sql = postgres(url ?? '', { transform, connection: { bytea_output: 'escape' }, onnotice: () => {} })
    onTestFinished(async () => {
      await sql.end({ timeout: 1 })
      await schema[Symbol.asyncDispose]()
    })
    const store = postgresStore({ pool: sql, schema: schema.name, preparedStatements: false })
    await store.migrate()
    const request = ask()
    expect(await store.acquire(request)).toEqual({ type: 'acquired', fence: 1 })
    await (await opened(store, request)).complete(Uint8Array.of(0, 92, 255))
    expect(await store.acquire(ask())).toEqual({ type: 'done', response: Uint8Array.of(0, 92, 255) })
  })

  test('works inside savepoints, of postgres.js too', async () => {
    const subject = await bench(connectPostgresJs)
    const { table, list } = await effects(subject)
    const transaction = await opened(subject.store, undefined)
    const client = transaction.client as postgres.TransactionSql
    await client.savepoint((inner) => inner.unsafe(`INSERT INTO ${table} VALUES ('kept')`))
    const failing = client.savepoint(async (inner) => {
      await inner.unsafe(`INSERT INTO ${table} VALUES ('undone')`)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await client`INSERT INTO ${client.unsafe(table)} VALUES (${'tagged'})`
    await transaction.commit()
    expect(await list()).toEqual(['kept', 'tagged'])
  })

  test('without a free connection rejects as it was told to, and has lost none', async () => {
    const { schema } = await bench(connectPg)
    const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 1000 })
    onTestFinished(() => pool.end())
    const store = postgresStore({ pool, schema })
    const transaction = await opened(store, undefined)
    await expect(store.acquire(ask())).rejects.toThrow('timeout exceeded when trying to connect')
    await expect(store.begin(undefined)).rejects.toThrow('timeout exceeded when trying to connect')
    await transaction.rollback()
    expect((await store.acquire(ask())).type).toBe('acquired')
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0])
  })

  test('that gave up on a query is not used again: its connection is closed', async () => {
    const { schema } = await bench(connectPg)
    const pool = new pg.Pool({ connectionString: url, query_timeout: 200 })
    onTestFinished(() => pool.end())
    const { client, rollback } = bound(await opened(postgresStore({ pool, schema }), undefined))
    const pid = await backend(client)
    await expect(run(client, 'SELECT pg_sleep(60)')).rejects.toThrow('Query read timeout')
    await rollback()
    expect([pool.totalCount, pool.idleCount]).toEqual([0, 0])
    await terminate(pid)
  })

  test.each(['pg', 'postgres.js'])('whose server is down rejects, and says why: %s', async (client) => {
    const connection = connectTo('postgres://postgres@127.0.0.1:1/test', client)
    onTestFinished(connection.end)
    const store = postgresStore({ pool: connection.pool })
    await expect(store.acquire(ask())).rejects.toThrow(/ECONNREFUSED/)
    await expect(store.begin(ask())).rejects.toThrow(/ECONNREFUSED/)
    await expect(store.migrate()).rejects.toThrow(/ECONNREFUSED/)
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

  test('the migration is there as a text, too', () => {
    expect(postgresMigration()).toContain('CREATE TABLE "public".holdfast_keys')
    expect(postgresMigration('a"b')).toContain('CREATE TABLE "a""b".holdfast_keys')
    expect(() => postgresMigration('')).toThrow('postgresMigration: schema should be the name of a schema')
  })
})
