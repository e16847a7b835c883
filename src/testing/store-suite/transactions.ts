import type { IdempotencyStore, Lease, StoreTransaction } from '../../idempotency/store.ts'
import { assertEqual, assertTrue } from './assertions.ts'
import {
  LEASE_MS,
  acquired,
  ask,
  assertRecorded,
  bytes,
  completed,
  type StoreCase,
  type StoreEffects,
  type StoreUnderTest,
  type TransactionalStoreUnderTest,
} from './support.ts'

interface TransactionCase {
  readonly name: string
  readonly run: (subject: TransactionalStoreUnderTest) => Promise<void>
}

/** A database may end a transaction that is idle for longer than a lease, by its own clock: none is in a hurry here. */
const LONG_LEASE = { leaseMs: 10_000, ttlMs: 60_000 }

/** How often somebody looks while a completion is under way; more often than any has been seen to take. */
const MOST_LOOKS = 10_000

/** That a store's transactions are tested is not left to chance. */
export const withoutTransactions: StoreCase = {
  name: 'a store that can begin a transaction is tested with { transactions: true }',
  async run({ store }) {
    assertTrue(store.begin === undefined, 'the store has begin()')
  },
}

/** @throws for a store under test that was not given its effects */
export function asTransactional(subject: StoreUnderTest): TransactionalStoreUnderTest {
  assertTrue(subject.store.begin !== undefined, 'a store with transactions has begin()')
  assertTrue(isTransactional(subject), 'what make() gives for a store with transactions has effects')
  return subject
}

const isTransactional = (subject: StoreUnderTest): subject is TransactionalStoreUnderTest =>
  Reflect.get(subject, 'effects') !== undefined

async function begun(store: IdempotencyStore, lease: Lease | undefined): Promise<StoreTransaction> {
  const transaction = await store.begin?.(lease)
  assertTrue(transaction !== undefined && transaction !== 'stale', 'a transaction begins')
  return transaction
}

async function assertStale(store: IdempotencyStore, lease: Lease): Promise<void> {
  const transaction = await store.begin?.(lease)
  if (transaction !== 'stale') await transaction?.rollback()
  assertEqual(transaction, 'stale', 'begin')
}

async function assertEffects(effects: StoreEffects, expected: string): Promise<void> {
  assertEqual((await effects.list()).join(), expected, 'effects')
}

/** Looks from outside while a completion is under way: no record may be there without its effect. */
async function watch(
  { store, effects }: TransactionalStoreUnderTest,
  completing: Promise<unknown>,
): Promise<void> {
  const state = { ended: false }
  const end = (): void => void (state.ended = true)
  completing.then(end, end)
  for (let look = 0; look < MOST_LOOKS && !state.ended; look++) {
    if ((await store.read(ask())) === undefined) continue
    await assertEffects(effects, 'order')
  }
}

const ending: readonly TransactionCase[] = [
  {
    name: 'a transaction that completes leaves its effect and its record',
    async run({ store, effects }) {
      const request = ask(LONG_LEASE)
      await acquired(store, request)
      const transaction = await begun(store, request)
      await effects.add(transaction.client, 'order')
      assertEqual(await transaction.complete(bytes('in one')), 'completed')
      await assertEffects(effects, 'order')
      await assertRecorded(store, 'in one')
    },
  },
  {
    name: 'nobody sees a completion before its transaction is committed',
    async run(subject) {
      const { store, effects } = subject
      const request = ask(LONG_LEASE)
      await acquired(store, request)
      const transaction = await begun(store, request)
      await effects.add(transaction.client, 'order')
      const completing = transaction.complete(bytes('in one'))
      await watch(subject, completing)
      assertEqual(await completing, 'completed')
    },
  },
  {
    name: "a transaction that is rolled back leaves nothing, and the key is still its owner's",
    async run({ store, effects }) {
      const request = ask(LONG_LEASE)
      await acquired(store, request)
      const transaction = await begun(store, request)
      await effects.add(transaction.client, 'order')
      await transaction.rollback()
      await assertEffects(effects, '')
      assertEqual(await store.read(request), undefined)
      assertEqual((await store.acquire(ask())).type, 'busy')
      assertEqual(await store.heartbeat(request), 'extended')
      assertEqual(await store.release(request), 'released')
      assertEqual(await acquired(store, ask()), 2)
    },
  },
  {
    name: 'a rollback is harmless once the transaction has ended',
    async run({ store, effects }) {
      const request = ask(LONG_LEASE)
      await acquired(store, request)
      const undone = await begun(store, request)
      await undone.rollback()
      await undone.rollback()
      const transaction = await begun(store, request)
      await effects.add(transaction.client, 'order')
      await transaction.complete(bytes('done'))
      await transaction.rollback()
      await assertEffects(effects, 'order')
      await assertRecorded(store, 'done')
    },
  },
  {
    name: "a commit that fails leaves neither effect nor record, and the key is still its owner's",
    async run({ store, effects }) {
      const request = ask(LONG_LEASE)
      await acquired(store, request)
      const transaction = await begun(store, request)
      await effects.addDoomed(transaction.client, 'order')
      const failure = await transaction.complete(bytes('doomed')).catch((error: unknown) => ({ error }))
      assertTrue(typeof failure === 'object', 'a commit that fails rejects')
      await transaction.rollback()
      await assertEffects(effects, '')
      assertEqual((await store.acquire(ask())).type, 'busy')
      assertEqual(await store.release(request), 'released')
    },
  },
]

const owning: readonly TransactionCase[] = [
  {
    name: 'a stale owner can not begin, and keeps nobody from it',
    async run({ store, effects, advance }) {
      const first = ask()
      const second = ask({ abandoned: 'takeover', ...LONG_LEASE })
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      await acquired(store, second)
      await assertStale(store, first)
      const transaction = await begun(store, second)
      await effects.add(transaction.client, 'order')
      assertEqual(await transaction.complete(bytes('second')), 'completed')
      await assertRecorded(store, 'second')
    },
  },
  {
    name: 'who has completed, has released or has never acquired can not begin',
    async run({ store }) {
      const done = ask({ key: 'done' })
      const released = ask({ key: 'released' })
      await completed(store, done)
      await acquired(store, released)
      await store.release(released)
      for (const lease of [done, released, ask({ key: 'never acquired' })]) await assertStale(store, lease)
    },
  },
  {
    name: 'an owner whose lease ran out begins and completes all the same, as long as nobody took over',
    async run({ store, effects, advance }) {
      const request = ask()
      await acquired(store, request)
      await advance(LEASE_MS + 1)
      const transaction = await begun(store, { ...request, ...LONG_LEASE })
      await effects.add(transaction.client, 'order')
      assertEqual(await transaction.complete(bytes('slow')), 'completed')
      await assertRecorded(store, 'slow')
    },
  },
  {
    name: 'whoever wants to take over from an open transaction waits for it, finds it busy, or makes it stale',
    async run({ store, effects, advance }) {
      const first = ask()
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      const transaction = await begun(store, { ...first, ...LONG_LEASE })
      await effects.add(transaction.client, 'order')
      const taking = store.acquire(ask({ abandoned: 'takeover' }))
      const ended = await transaction.complete(bytes('first'))
      const { type } = await taking
      if (ended === 'stale') {
        assertEqual(type, 'acquired', 'taking over')
        await assertEffects(effects, '')
      } else {
        assertTrue(type === 'done' || type === 'busy', `taking over from who completed: ${type}`)
        await assertEffects(effects, 'order')
        await assertRecorded(store, 'first')
      }
    },
  },
]

const withoutLease: readonly TransactionCase[] = [
  {
    name: 'without a lease a commit keeps the effect, and a rollback undoes it',
    async run({ store, effects }) {
      const undone = await begun(store, undefined)
      await effects.add(undone.client, 'undone')
      await undone.rollback()
      const kept = await begun(store, undefined)
      await effects.add(kept.client, 'kept')
      await kept.commit()
      await kept.rollback()
      await assertEffects(effects, 'kept')
    },
  },
  {
    name: 'without a lease a commit that fails rejects, and leaves no effect',
    async run({ store, effects }) {
      const transaction = await begun(store, undefined)
      await effects.addDoomed(transaction.client, 'order')
      const failure = await transaction.commit().catch((error: unknown) => ({ error }))
      assertTrue(typeof failure === 'object', 'a commit that fails rejects')
      await transaction.rollback()
      await assertEffects(effects, '')
    },
  },
]

/** What a store with `begin` has to do: whatever a handler did in its database, and the record of it, are one. */
export const transactions: readonly TransactionCase[] = [...ending, ...owning, ...withoutLease]
