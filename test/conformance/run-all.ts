/**
 * Every case without a test runner, for runtimes that have none: `node test/conformance/run-all.ts` with Node 22 or
 * later, which takes SQLite from the runtime.
 */
import type { StoreEffects } from '../../src/testing/store-suite/index.ts'
import { bugCases } from './bug-cases.ts'
import { faultyStore, type Faults } from './faulty-store.ts'
import { named } from './named.ts'
import { serviceCases } from './service-cases.ts'
import { combinations, type Options, type Service } from './service.ts'
import { releaseStores, storeKinds, suiteOf } from './stores-under-test.ts'
import { transactionCases } from './transaction-cases.ts'

let passed = 0
let failed = 0

async function attempt(title: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
    passed++
  } catch (error) {
    failed++
    console.error(`FAILED ${title}\n`, error)
  }
}

interface RunnableCase {
  readonly options?: Options
  readonly faults?: Faults
}

for (const kind of storeKinds) {
  for (const [title, { run }] of named(suiteOf(kind))) await attempt(`${kind.name}: ${title}`, run)
}

for (const { name, service, store } of combinations) {
  const attemptWith = (
    title: string,
    { options, faults }: RunnableCase,
    run: (service: Service, effects: StoreEffects | undefined) => Promise<void>,
  ): Promise<void> =>
    attempt(`${name}: ${title}`, async () => {
      const subject = await store.make()
      const started = await service.start(faultyStore(subject.store, faults), subject.clock, options)
      try {
        await run(started, subject.effects)
      } finally {
        await started[Symbol.asyncDispose]()
        await subject[Symbol.asyncDispose]()
      }
    })
  for (const [title, entry] of named([...serviceCases, ...bugCases]))
    await attemptWith(title, entry, entry.run)
  if (!store.transactions) continue
  for (const [title, entry] of named(transactionCases)) {
    await attemptWith(title, entry, async (started, effects) => {
      if (effects !== undefined) await entry.run(started, effects)
    })
  }
}

await releaseStores()
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
