import { afterAll, describe, expect, test } from 'vitest'
import { testServersAreThere } from '../support/left-out.ts'
import { named } from './named.ts'
import { releaseStores, storeKinds, suiteOf } from './stores-under-test.ts'

afterAll(releaseStores)

testServersAreThere()

describe.each(storeKinds)('$name', (kind) => {
  test.each(named(suiteOf(kind)))('%s', async (_, { run }) => {
    await expect(run()).resolves.toBeUndefined()
  })
})
