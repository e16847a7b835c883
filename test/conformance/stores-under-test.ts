import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/virtual-clock.ts'
import type { StoreUnderTest } from './store-cases.ts'

export interface DisposableStore extends StoreUnderTest, AsyncDisposable {
  readonly clock: VirtualClock
}

export interface StoreKind {
  readonly name: string
  readonly transactions: boolean
  readonly make: (clock?: VirtualClock) => Promise<DisposableStore>
}

export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** The stores of this package, each on a clock that the test moves. */
export const storeKinds: readonly StoreKind[] = [
  {
    name: 'memory',
    transactions: false,
    async make(clock = virtualClock()) {
      const store = memoryStore({ clock })
      return { store, clock, advance: (ms) => clock.advance(ms), async [Symbol.asyncDispose]() {} }
    },
  },
  {
    name: 'sqlite',
    transactions: true,
    async make(clock = virtualClock()) {
      const folder = await temporaryFolder()
      const store = sqliteStore({ path: join(folder.path, 'keys.db'), clock })
      return {
        store,
        clock,
        advance: (ms) => clock.advance(ms),
        async [Symbol.asyncDispose]() {
          await store.close?.()
          await folder[Symbol.asyncDispose]()
        },
      }
    },
  },
]
