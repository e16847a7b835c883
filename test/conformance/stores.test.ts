import { describe, expect, test } from 'vitest'
import { storeCases } from './store-cases.ts'
import { storeKinds } from './stores-under-test.ts'

describe.each(storeKinds)('$name', ({ make }) => {
  test.each(storeCases)('$name', async ({ run }) => {
    await using subject = await make()
    await expect(run(subject)).resolves.toBeUndefined()
  })
})
