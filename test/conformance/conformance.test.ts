import { afterAll, describe, expect, test } from 'vitest'
import { faultyStore } from './faulty-store.ts'
import { named } from './named.ts'
import { serviceCases } from './service-cases.ts'
import { combinations } from './service.ts'
import { releaseStores } from './stores-under-test.ts'

afterAll(releaseStores)

describe.each(combinations)('$name', ({ service, store }) => {
  test.each(named(serviceCases))('%s', async (_, { options, faults, run }) => {
    await using subject = await store.make()
    await using started = await service.start(faultyStore(subject.store, faults), subject.clock, options)
    await expect(run(started)).resolves.toBeUndefined()
  })
})
