import type {
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from '../../../src/idempotency/store.ts'
import type { Trap } from './trap.ts'

/** A store whose process can be struck while it is at work. */
export function trappedStore(store: IdempotencyStore, trap: Trap): IdempotencyStore {
  const recorded = async <T>(work: () => Promise<T>): Promise<T> => {
    await trap.pass('before recording')
    const answer = work()
    // It may fail before anybody awaits it.
    answer.catch(() => {})
    await trap.pass('recording')
    const result = await answer
    await trap.pass('recorded')
    return result
  }
  return {
    name: store.name,
    async acquire(request: AcquireRequest): Promise<AcquireResult> {
      const answer = store.acquire(request)
      answer.catch(() => {})
      await trap.pass('acquiring')
      const result = await answer
      if (result.type === 'acquired') await trap.pass('acquired')
      return result
    },
    heartbeat: (lease: Lease) => store.heartbeat(lease),
    complete: (lease: Lease, response: Uint8Array) => recorded(() => store.complete(lease, response)),
    release: (lease: Lease) => store.release(lease),
    read: (lease: Lease) => store.read(lease),
    ...(store.begin === undefined ? {} : { begin: trappedBegin(store.begin.bind(store), recorded) }),
  }
}

type Begin = NonNullable<IdempotencyStore['begin']>

function trappedBegin(begin: Begin, recorded: <T>(work: () => Promise<T>) => Promise<T>): Begin {
  return async (lease) => {
    const transaction = await begin(lease)
    if (transaction === 'stale') return transaction
    return {
      client: transaction.client,
      complete: (response) => recorded(() => transaction.complete(response)),
      commit: () => transaction.commit(),
      rollback: () => transaction.rollback(),
    } satisfies StoreTransaction
  }
}
