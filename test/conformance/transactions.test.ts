import { afterAll, describe, expect, test } from 'vitest'
import { faultyStore } from './faulty-store.ts'
import { named } from './named.ts'
import { combinations, transactionCombinations } from './service.ts'
import { transactionCases } from './transaction-cases.ts'
import { releaseStores } from './stores-under-test.ts'

afterAll(releaseStores)

describe.each(transactionCombinations)('$name', ({ service, store }) => {
  test.each(named(transactionCases))('%s', async (_, { options, faults, run }) => {
    await using subject = await store.make()
    await using started = await service.start(faultyStore(subject.store, faults), subject.clock, options)
    if (subject.effects === undefined) throw new Error('a store with transactions has effects')
    await expect(run(started, subject.effects)).resolves.toBeUndefined()
  })
})

test.each(combinations.filter(({ store }) => !store.transactions))(
  '$name: a transaction is refused, since the store has none',
  async ({ service, store }) => {
    await using subject = await store.make()
    await using started = await service.start(subject.store, subject.clock)
    started.handle = async ({ idempotency }) => {
      const refused = await idempotency.transaction(() => 'ran').catch((error: unknown) => String(error))
      return { status: 201, body: refused }
    }
    for (const key of ['k', undefined]) {
      expect((await started.send({ key })).text).toMatch(
        /TypeError: transaction\(fn\) needs a store with transactions/,
      )
    }
  },
)
