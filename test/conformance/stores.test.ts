import { describe, expect, test } from 'vitest'
import { testServersAreThere } from '../support/left-out.ts'
import { named } from './named.ts'
import { storeCases } from './store-cases.ts'
import { storeKinds } from './stores-under-test.ts'

testServersAreThere()

describe.each(storeKinds)('$name', ({ make }) => {
  test.each(named(storeCases))('%s', async (_, { run }) => {
    await using subject = await make()
    await expect(run(subject)).resolves.toBeUndefined()
  })
})
