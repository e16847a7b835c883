import { describe, expect, test } from 'vitest'
import { leftOut } from '../support/servers.ts'
import { named } from './named.ts'
import { storeCases } from './store-cases.ts'
import { storeKinds } from './stores-under-test.ts'

test.skip.each(leftOut)('LEFT OUT: %s', () => {})

describe.each(storeKinds)('$name', ({ make }) => {
  test.each(named(storeCases))('%s', async (_, { run }) => {
    await using subject = await make()
    await expect(run(subject)).resolves.toBeUndefined()
  })
})
