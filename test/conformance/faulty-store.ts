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

/** A store that fails as told, in front of a real one. */
export function faultyStore(store: IdempotencyStore, faults: Faults = {}): FaultyStore {
  let acquires = 0
  const leases: Lease[] = []
  const left = new Map(
    Object.entries(faults).map(([operation, list]): [string, Fault[]] => [operation, [...list]]),
  )
  const call = async <T>(operation: keyof Faults, work: () => Promise<T>): Promise<T> => {
    const fault = left.get(operation)?.shift()
    if (fault === undefined) return work()
    if (fault === 'before') throw new Error(`${operation} failed`)
    await work()
    if (fault === 'hang') return new Promise<T>(() => {})
    throw new Error(`the answer to ${operation} got lost`)
  }
  const begin = store.begin?.bind(store)
  return {
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
}
