/** Every case of the suite that is about a flaw is seen catching it, on a store that has this flaw and no other. */
import { expect, test } from 'vitest'
import type { IdempotencyStore, Lease, StoreTransaction } from '../../src/idempotency/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { storeSuite, type StoreTest } from '../../src/testing/store-suite/index.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'
import { modelUnderTest, type Draft, type ModelStore } from './model-store.ts'

interface Broken {
  readonly flaw: string
  readonly caughtBy: readonly string[]
  readonly breaks: (model: ModelStore) => Partial<IdempotencyStore>
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The model's own transaction, for one that changes something of it. */
interface Own {
  readonly client: unknown
  readonly complete: (response: Uint8Array) => Promise<'completed' | 'stale'>
  readonly commit: () => Promise<void>
  readonly rollback: () => Promise<void>
}

/** A `begin` whose transactions differ from the model's in what `change` gives. */
const transactions = (
  model: ModelStore,
  change: (transaction: Own, lease: Lease | undefined) => Partial<StoreTransaction>,
): Partial<IdempotencyStore> => ({
  async begin(lease) {
    const transaction = await model.begin(lease)
    if (transaction === 'stale') return transaction
    const own: Own = {
      client: transaction.client,
      complete: (response) => transaction.complete(response),
      commit: () => transaction.commit(),
      rollback: () => transaction.rollback(),
    }
    return { ...own, ...change(own, lease) }
  },
})

const owning: readonly Broken[] = [
  {
    flaw: 'the owner that has completed is told to run again',
    caughtBy: ['an owner that has completed and asks again gets its response, and does not run again'],
    breaks: (model) => {
      const completed = new Set<string>()
      return {
        async acquire(request) {
          const result = await model.acquire(request)
          return completed.has(request.owner) ? { type: 'acquired', fence: 1 } : result
        },
        complete(lease, response) {
          completed.add(lease.owner)
          return model.complete(lease, response)
        },
      }
    },
  },
  {
    flaw: 'a heartbeat revives what is done',
    caughtBy: ['a heartbeat after completion revives nothing'],
    breaks: (model) => {
      const completed = new Set<string>()
      return {
        async heartbeat(lease) {
          return completed.has(lease.owner) ? 'extended' : model.heartbeat(lease)
        },
        async complete(lease, response) {
          const result = await model.complete(lease, response)
          if (result === 'completed') completed.add(lease.owner)
          return result
        },
      }
    },
  },
  {
    flaw: 'a stale owner that finds the key given back may complete',
    caughtBy: ['a stale owner completes nothing that its successor has given back'],
    breaks: (model) => {
      const released = new Map<string, Lease>()
      return {
        async release(lease) {
          const result = await model.release(lease)
          if (result === 'released') released.set(lease.key, lease)
          return result
        },
        async complete(lease, response) {
          const result = await model.complete(lease, response)
          const by = released.get(lease.key)
          return by !== undefined && by.owner !== lease.owner ? 'completed' : result
        },
      }
    },
  },
  {
    flaw: 'who has released once may release again, whoever has the key now',
    caughtBy: ['who has released can not release the run of who has the key now'],
    breaks: (model) => {
      const released = new Set<string>()
      return {
        async release(lease) {
          if (released.has(lease.owner)) return 'released'
          const result = await model.release(lease)
          if (result === 'released') released.add(lease.owner)
          return result
        },
      }
    },
  },
]

const UNCHANGED =
  'what is recorded stays as it is when the bytes are changed that were given, or that came back'

/** Gives the same bytes each time. */
const sharing = (): ((response: Uint8Array) => Uint8Array) => {
  const first = new Map<string, Uint8Array>()
  return (response) => {
    const text = new TextDecoder().decode(response)
    if (!first.has(text)) first.set(text, response)
    return first.get(text) ?? response
  }
}

const keeping: readonly Broken[] = [
  {
    flaw: 'a scope has the largest limit that anybody gave',
    caughtBy: [
      'of two limits the smaller lets nobody in where the larger has let in more, also when some have expired',
    ],
    breaks: (model) => {
      let largest = 0
      return {
        acquire(request) {
          largest = Math.max(largest, request.maxKeysPerScope)
          return model.acquire({ ...request, maxKeysPerScope: largest })
        },
      }
    },
  },
  {
    flaw: 'the bytes that were given are kept, not a copy',
    caughtBy: [UNCHANGED],
    breaks: (model) => {
      const given = new Map<string, Uint8Array>()
      return {
        complete(lease, response) {
          given.set(new TextDecoder().decode(response), response)
          return model.complete(lease, response)
        },
        async read(lease) {
          const recorded = await model.read(lease)
          return recorded && given.get(new TextDecoder().decode(recorded))
        },
      }
    },
  },
  {
    flaw: 'an acquire gives the bytes of the record away',
    caughtBy: [UNCHANGED],
    breaks: (model) => {
      const share = sharing()
      return {
        async acquire(request) {
          const result = await model.acquire(request)
          return result.type === 'done' ? { ...result, response: share(result.response) } : result
        },
      }
    },
  },
  {
    flaw: 'reading gives the bytes of the record away',
    caughtBy: [UNCHANGED],
    breaks: (model) => {
      const share = sharing()
      return {
        async read(lease) {
          const recorded = await model.read(lease)
          return recorded && share(recorded)
        },
      }
    },
  },
]

const inTransactions: readonly Broken[] = [
  {
    flaw: 'a completion is there before its transaction is committed',
    caughtBy: ['nobody sees a completion before its transaction is committed'],
    breaks: (model) =>
      transactions(model, ({ client, commit, complete }, lease) => ({
        async complete(response) {
          if ((client as Draft).doomed || lease === undefined) return complete(response)
          if ((await model.complete(lease, response)) === 'stale') return 'stale'
          await turn()
          await commit()
          return 'completed'
        },
      })),
  },
  {
    flaw: 'a commit that fails leaves the record',
    caughtBy: ["a commit that fails leaves neither effect nor record, and the key is still its owner's"],
    breaks: (model) =>
      transactions(model, ({ complete }, lease) => ({
        async complete(response) {
          try {
            return await complete(response)
          } catch (error) {
            if (lease !== undefined) await model.complete(lease, response)
            throw error
          }
        },
      })),
  },
  {
    flaw: 'a commit that fails is hidden',
    caughtBy: ["a commit that fails leaves neither effect nor record, and the key is still its owner's"],
    breaks: (model) =>
      transactions(model, ({ complete }) => ({
        complete: (response) => complete(response).catch(() => 'completed' as const),
      })),
  },
  {
    flaw: 'the record is there, and the effect is not',
    caughtBy: [
      'a transaction that completes leaves its effect and its record',
      'nobody sees a completion before its transaction is committed',
    ],
    breaks: (model) =>
      transactions(model, ({ client, complete }) => ({
        complete(response) {
          // Not always: what is always lost, many cases notice.
          if (new TextDecoder().decode(response) === 'in one') (client as Draft).effects.length = 0
          return complete(response)
        },
      })),
  },
  {
    flaw: 'a rollback gives the key back',
    caughtBy: ["a transaction that is rolled back leaves nothing, and the key is still its owner's"],
    breaks: (model) =>
      transactions(model, ({ client, rollback }, lease) => ({
        async rollback() {
          if (lease !== undefined && (client as Draft).effects.length > 0) await model.release(lease)
          await rollback()
        },
      })),
  },
  {
    flaw: 'a rollback after the end throws',
    caughtBy: [
      'a rollback is harmless once the transaction has ended',
      "a commit that fails leaves neither effect nor record, and the key is still its owner's",
      'without a lease a commit keeps the effect, and a rollback undoes it',
      'without a lease a commit that fails rejects, and leaves no effect',
    ],
    breaks: (model) =>
      transactions(model, ({ commit, complete, rollback }) => {
        let ended = false
        const once = <T>(end: () => Promise<T>): Promise<T> => {
          if (ended) throw new Error('no transaction is open')
          ended = true
          return end()
        }
        return {
          commit: () => once(commit),
          complete: (response) => once(() => complete(response)),
          rollback: async () => once(rollback),
        }
      }),
  },
  {
    flaw: 'anybody begins',
    caughtBy: [
      'a stale owner can not begin, and keeps nobody from it',
      'who has completed, has released or has never acquired can not begin',
    ],
    breaks: (model) => ({
      async begin(lease) {
        const transaction = await model.begin(lease)
        return transaction === 'stale' ? model.begin(undefined) : transaction
      },
    }),
  },
  {
    flaw: 'who is late does not begin',
    caughtBy: [
      'an owner whose lease ran out begins and completes all the same, as long as nobody took over',
      'whoever wants to take over from an open transaction waits for it, finds it busy, or makes it stale',
    ],
    breaks: (model) => ({
      async begin(lease) {
        if (lease === undefined) return model.begin(lease)
        const probe = {
          ...lease,
          owner: 'a probe',
          ttlMs: 1,
          abandoned: 'block',
          maxKeysPerScope: 1,
        } as const
        const { type } = await model.acquire(probe)
        return type === 'abandoned' ? 'stale' : model.begin(lease)
      },
    }),
  },
  {
    flaw: 'who was overtaken inside commits all the same',
    caughtBy: [
      'whoever wants to take over from an open transaction waits for it, finds it busy, or makes it stale',
    ],
    breaks: (model) =>
      transactions(model, ({ commit, complete }) => ({
        async complete(response) {
          if ((await complete(response)) === 'completed') return 'completed'
          await commit()
          return 'completed'
        },
      })),
  },
  {
    flaw: 'without a lease nothing is undone',
    caughtBy: ['without a lease a commit keeps the effect, and a rollback undoes it'],
    breaks: (model) =>
      transactions(model, ({ commit, rollback }, lease) => ({
        rollback: () => (lease === undefined ? commit().catch(() => {}) : rollback()),
      })),
  },
  {
    flaw: 'without a lease a commit that fails is hidden',
    caughtBy: ['without a lease a commit that fails rejects, and leaves no effect'],
    breaks: (model) => transactions(model, ({ commit }) => ({ commit: () => commit().catch(() => {}) })),
  },
]

const named = [...owning, ...keeping, ...inTransactions].map((broken): [string, Broken] => [
  broken.flaw,
  broken,
])

/** The names of the tests that fail. */
async function failures(suite: readonly StoreTest[]): Promise<string[]> {
  const failed: string[] = []
  for (const { name, run } of suite) await run().catch(() => failed.push(name))
  return failed
}

test('a sound store with transactions passes', async () => {
  expect(await failures(storeSuite(() => modelUnderTest(), { transactions: true }))).toEqual([])
})

test.each(named)('that is caught: %s', async (_, { breaks, caughtBy }) => {
  expect(await failures(storeSuite(() => modelUnderTest(breaks), { transactions: true }))).toEqual(caughtBy)
})

test('a store that can begin is not left without tests of its transactions', async () => {
  const told = 'a store that can begin a transaction is tested with { transactions: true }'
  expect(await failures(storeSuite(() => modelUnderTest()))).toEqual([told])
})

test('a store that can not begin, or gives no effects, fails the tests of transactions', async () => {
  const clock = virtualClock()
  const advance = (ms: number): Promise<void> => clock.advance(ms)
  const plain = { store: memoryStore({ clock }), advance, effects: modelUnderTest().effects }
  const { store, effects } = modelUnderTest()
  for (const [subject, message] of [
    [plain, /a store with transactions has begin/],
    [{ store, advance, effects: undefined as unknown as typeof effects }, /has effects/],
  ] as const) {
    const [last] = storeSuite(() => subject, { transactions: true }).slice(-1)
    await expect(last?.run()).rejects.toThrow(message)
  }
})
