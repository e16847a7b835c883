import type {
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from '../../src/idempotency/index.ts'

/** `before`: nothing happens; `after`: it happens, and the answer gets lost; `hang`: it happens, there is no answer. */
export type Fault = 'before' | 'after' | 'hang'

/** What goes wrong, call by call; after the last one everything works. */
export interface Faults {
  readonly acquire?: readonly Fault[]
  readonly heartbeat?: readonly Fault[]
  readonly complete?: readonly Fault[]
  readonly release?: readonly Fault[]
  readonly read?: readonly Fault[]
  readonly begin?: readonly Fault[]
  readonly commit?: readonly Fault[]
  readonly rollback?: readonly Fault[]
}

export interface FaultyStore extends IdempotencyStore {
  /** How often a key was asked for. */
  readonly acquires: number
  /** What was asked for, in order. */
  readonly leases: readonly Lease[]
}

/** How many of its calls the real store is working on. */
const working = new WeakMap<IdempotencyStore, { calls: number }>()

/** Whether a store has work left that takes real time; that it was told to hang is none. */
export const isWorking = (store: IdempotencyStore): boolean => (working.get(store)?.calls ?? 0) > 0

/** A store that fails as told, in front of a real one. */
export function faultyStore(store: IdempotencyStore, faults: Faults = {}): FaultyStore {
  let acquires = 0
  const leases: Lease[] = []
  const left = new Map(
    Object.entries(faults).map(([operation, list]): [string, Fault[]] => [operation, [...list]]),
  )
  const load = { calls: 0 }
  const call = async <T>(operation: keyof Faults, run: () => Promise<T>): Promise<T> => {
    const work = (): Promise<T> => {
      load.calls++
      return run().finally(() => load.calls--)
    }
    const fault = left.get(operation)?.shift()
    if (fault === undefined) return work()
    if (fault === 'before') throw new Error(`${operation} failed`)
    await work()
    if (fault === 'hang') return new Promise<T>(() => {})
    throw new Error(`the answer to ${operation} got lost`)
  }
  const begin = store.begin?.bind(store)
  const faulty: FaultyStore = {
    name: store.name,
    leases,
    get acquires() {
      return acquires
    },
    acquire(request: AcquireRequest): Promise<AcquireResult> {
      acquires++
      leases.push(request)
      return call('acquire', () => store.acquire(request))
    },
    heartbeat: (lease: Lease) => call('heartbeat', () => store.heartbeat(lease)),
    complete: (lease: Lease, response: Uint8Array) => call('complete', () => store.complete(lease, response)),
    release: (lease: Lease) => call('release', () => store.release(lease)),
    read: (lease: Lease) => call('read', () => store.read(lease)),
    ...(begin === undefined
      ? {}
      : {
          async begin(lease: Lease | undefined): Promise<StoreTransaction | 'stale'> {
            const transaction = await call('begin', () => begin(lease))
            if (transaction === 'stale') return transaction
            return {
              client: transaction.client,
              complete: (response) => call('commit', () => transaction.complete(response)),
              commit: () => call('commit', () => transaction.commit()),
              rollback: () => call('rollback', () => transaction.rollback()),
            }
          },
        }),
    close: async () => store.close?.(),
  }
  working.set(faulty, load)
  return faulty
}
