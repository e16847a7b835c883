import { afterAll, describe, expect, test } from 'vitest'
import { bugCases } from './bug-cases.ts'
import { faultyStore } from './faulty-store.ts'
import { frameworkKinds } from './frameworks-under-test.ts'
import { named } from './named.ts'
import { serviceCases } from './service-cases.ts'
import { releaseStores, storeKinds } from './stores-under-test.ts'
import { transactionCases } from './transaction-cases.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

afterAll(releaseStores)

const local = storeKinds.filter(({ transactions, remote }) => transactions && !remote)

describe.each(frameworkKinds)('$name', ({ start }) => {
  test.each(named([...serviceCases, ...bugCases]))('%s', async (_, { options, faults, run }) => {
    const clock = virtualClock()
    await using started = await start(faultyStore(memoryStore({ clock }), faults), clock, options)
    await expect(run(started)).resolves.toBeUndefined()
  })

  describe.each(local)('over $name', ({ make }) => {
    test.each(named(transactionCases))('%s', async (_, { options, faults, run }) => {
      await using subject = await make()
      await using started = await start(faultyStore(subject.store, faults), subject.clock, options)
      if (subject.effects === undefined) throw new Error('a store with transactions has effects')
      await expect(run(started, subject.effects)).resolves.toBeUndefined()
    })
  })
})
