import { describe, expect, test } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { beginTransaction, Claim } from './claim.ts'
import { resolveOptions } from './options.ts'
import type { AcquireRequest, AcquireResult, IdempotencyStore, StoreTransaction } from './store.ts'

const info = { method: 'POST', path: '/', key: 'k' }
const record = { scope: 's', key: 'k', fingerprint: 'f' }

/** A store whose acquires, or whose transactions, arrive when they are let in. */
function slowStore(clock: ReturnType<typeof virtualClock>): {
  readonly store: IdempotencyStore
  readonly letIn: () => void
  rolledBack: boolean
} {
  const inner = memoryStore({ clock })
  let letIn = (): void => {}
  const gate = new Promise<void>((resolve) => {
    letIn = resolve
  })
  const state = { rolledBack: false }
  const transaction: StoreTransaction = {
    client: undefined,
    complete: async () => 'completed',
    commit: async () => {},
    rollback: async () => {
      state.rolledBack = true
    },
  }
  const store: IdempotencyStore = {
    name: 'slow',
    acquire: (request: AcquireRequest): Promise<AcquireResult> => gate.then(() => inner.acquire(request)),
    heartbeat: (lease) => inner.heartbeat(lease),
    complete: (lease, response) => inner.complete(lease, response),
    release: (lease) => inner.release(lease),
    read: (lease) => inner.read(lease),
    begin: () => gate.then(() => transaction),
  }
  return Object.assign(state, { store, letIn })
}

describe('a claim', () => {
  test('that arrives after everybody gave up is undone', async () => {
    const clock = virtualClock()
    const { store, letIn } = slowStore(clock)
    const settings = resolveOptions({ store, clock })
    const failed = new Claim(settings, info, record).acquire().catch((error: unknown) => error)
    await clock.advance(2000)
    expect(await failed).toBeInstanceOf(Error)
    letIn()
    await clock.settle()
    expect((await new Claim(settings, info, record).acquire()).type).toBe('acquired')
  })

  test('has one owner for all of its attempts, and another one than every other claim', async () => {
    const clock = virtualClock()
    const owners: string[] = []
    const inner = memoryStore({ clock })
    const store: IdempotencyStore = {
      name: 'failing',
      acquire: async (request) => {
        owners.push(request.owner)
        throw new Error('away')
      },
      heartbeat: (lease) => inner.heartbeat(lease),
      complete: (lease, response) => inner.complete(lease, response),
      release: (lease) => inner.release(lease),
      read: (lease) => inner.read(lease),
    }
    const settings = resolveOptions({ store, clock })
    for (let claim = 0; claim < 2; claim++) {
      const failed = new Claim(settings, info, record).acquire().catch(() => {})
      await clock.advance(2000)
      await failed
    }
    expect(owners.length).toBeGreaterThan(4)
    expect(new Set(owners).size).toBe(2)
  })
})

describe('a transaction', () => {
  test('that opens after everybody gave up is rolled back: it would keep the database from everybody', async () => {
    const clock = virtualClock()
    const slow = slowStore(clock)
    const failed = beginTransaction(resolveOptions({ store: slow.store, clock }), undefined).catch(
      (error: unknown) => error,
    )
    await clock.advance(2000)
    expect(await failed).toBeInstanceOf(Error)
    slow.letIn()
    await clock.settle()
    expect(slow.rolledBack).toBe(true)
  })
})
