import { describe, expect, test } from 'vitest'
import { bugCases } from './bug-cases.ts'
import { faultyStore } from './faulty-store.ts'
import { frameworkKinds } from './frameworks-under-test.ts'
import { named } from './named.ts'
import { serviceCases } from './service-cases.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

describe.each(frameworkKinds)('$name', ({ start }) => {
  test.each(named([...serviceCases, ...bugCases]))('%s', async (_, { options, faults, run }) => {
    const clock = virtualClock()
    await using started = await start(faultyStore(memoryStore({ clock }), faults), clock, options)
    await expect(run(started)).resolves.toBeUndefined()
  })
})
