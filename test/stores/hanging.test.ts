/** A `transaction(fn)` that does not end, in SQLite: it has the only connection, and nobody can end it from outside. */
import { expect, test } from 'vitest'
import {
  idempotency,
  idempotencyOf,
  TransactionLostError,
  type IdempotencyEvent,
} from '../../src/idempotency/index.ts'
import { sqliteStore, type SqliteDatabase } from '../../src/stores/sqlite/index.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { deferred } from '../support/operations.ts'

const STORE_TIMEOUT_MS = 2000

const request = (key: string | undefined): Request =>
  new Request('https://a.test/', {
    method: 'POST',
    headers: key === undefined ? {} : { 'idempotency-key': key },
  })

test.each(['hangs', undefined])(
  'others get 503 in their time while the transaction of key %s never ends, and run when it has ended',
  async (hanging) => {
    const clock = virtualClock()
    const store = sqliteStore({ path: ':memory:', clock })
    const events: IdempotencyEvent[] = []
    const onEvent = (event: IdempotencyEvent): void => void events.push(event)
    const protect = idempotency({
      store,
      clock,
      transactional: true,
      storeTimeoutMs: STORE_TIMEOUT_MS,
      onEvent,
    })
    const started = deferred()
    const ending = deferred()
    let runs = 0
    const handler = protect((incoming) =>
      idempotencyOf(incoming).transaction(async () => {
        const run = ++runs
        if (run === 1) started.resolve()
        if (run === 1) await ending.promise
        return Response.json({ run })
      }),
    )
    const first = handler(request(hanging))
    await started.promise

    const others = ['other', 'another'].map((key) => handler(request(key)))
    await clock.advance(STORE_TIMEOUT_MS)
    for (const other of others) {
      const response = await other
      expect(response.status).toBe(503)
      expect(await response.json()).toMatchObject({ code: 'store-unavailable' })
    }
    expect(runs).toBe(1)

    ending.resolve()
    expect(await (await first).json()).toEqual({ run: 1 })
    // What they had asked for arrives now, for nobody, and is given back.
    await clock.advance(5000)
    expect(await (await handler(request('other'))).json()).toEqual({ run: 2 })
    expect(events.filter(({ type }) => type === 'completed')).toHaveLength(hanging === undefined ? 1 : 2)
    await store.close?.()
  },
)

test.each(['hangs', undefined])(
  'the transaction of key %s is given up in time; it never commits, and others run when it has ended',
  async (hanging) => {
    const clock = virtualClock()
    const store = sqliteStore({ path: ':memory:', clock })
    const protect = idempotency({ store, clock, transactional: true, transactionTimeoutMs: 10_000 })
    const ending = deferred()
    let runs = 0
    const handler = protect((incoming) =>
      idempotencyOf(incoming).transaction(async (database: SqliteDatabase) => {
        const run = ++runs
        if (run === 1) await ending.promise
        database.exec('CREATE TABLE IF NOT EXISTS runs (run INTEGER)')
        database.prepare('INSERT INTO runs VALUES (?)').run(run)
        return Response.json(database.prepare('SELECT run FROM runs').all())
      }),
    )
    const first = handler(request(hanging)).catch((error: unknown) => error)
    // The time to give the key back is part of it: the connection is taken until it ends.
    await clock.advance(10_000 + STORE_TIMEOUT_MS)
    const answer = await first
    if (hanging === undefined) expect(answer).toBeInstanceOf(TransactionLostError)
    else expect((answer as Response).status).toBe(503)
    ending.resolve()
    await clock.advance(5000)
    expect(await (await handler(request(hanging))).json()).toEqual([{ run: 2 }])
    await store.close?.()
  },
)
