/** A store with transactions, in memory: the least that passes the suite, and what broken ones are made of. */
import type {
  AcquireRequest,
  AcquireResult,
  IdempotencyStore,
  Lease,
  StoreTransaction,
} from '../../src/idempotency/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import type { TransactionalStoreUnderTest } from '../../src/testing/store-suite/index.ts'
import { virtualClock } from '../../src/testing/virtual-clock.ts'

/** What a handler works with inside a transaction. */
export interface Draft {
  readonly effects: string[]
  doomed: boolean
}

export class ModelStore implements IdempotencyStore {
  readonly name: string = 'model'
  /** The application's data. */
  readonly committed: string[] = []
  /** The keys, without transactions. */
  readonly #records: IdempotencyStore
  readonly #owners = new Map<string, string>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(records: IdempotencyStore) {
    this.#records = records
  }

  acquire(request: AcquireRequest): Promise<AcquireResult> {
    return this.#inTurn(async () => {
      const result = await this.#records.acquire(request)
      if (result.type === 'acquired') this.#owners.set(nameOf(request), request.owner)
      return result
    })
  }

  heartbeat(lease: Lease): Promise<'extended' | 'lost'> {
    return this.#inTurn(() => this.#records.heartbeat(lease))
  }

  complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    return this.#inTurn(() => this.#complete(lease, response))
  }

  release(lease: Lease): Promise<'released' | 'stale'> {
    return this.#inTurn(() => {
      if (this.owns(lease)) this.#owners.delete(nameOf(lease))
      return this.#records.release(lease)
    })
  }

  read(lease: Lease): Promise<Uint8Array | undefined> {
    return this.#inTurn(() => this.#records.read(lease))
  }

  begin(lease: Lease | undefined): Promise<StoreTransaction | 'stale'> {
    return this.#inTurn(async () => {
      if (lease !== undefined && !this.owns(lease)) return 'stale'
      const draft: Draft = { effects: [], doomed: false }
      const commit = (): void => {
        if (draft.doomed) throw new Error('a constraint is violated')
        this.committed.push(...draft.effects.splice(0))
      }
      return {
        client: draft,
        commit: () => this.#inTurn(async () => commit()),
        complete: (response) =>
          this.#inTurn(async () => {
            if (lease === undefined || !this.owns(lease)) return 'stale'
            commit()
            return this.#complete(lease, response)
          }),
        rollback: () => this.#inTurn(async () => void draft.effects.splice(0)),
      }
    })
  }

  owns(lease: Lease): boolean {
    return this.#owners.get(nameOf(lease)) === lease.owner
  }

  #complete(lease: Lease, response: Uint8Array): Promise<'completed' | 'stale'> {
    if (this.owns(lease)) this.#owners.delete(nameOf(lease))
    return this.#records.complete(lease, response)
  }

  /** One after the other: that is what makes each of them atomic. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }
}

const nameOf = ({ scope, key }: Lease): string => JSON.stringify([scope, key])

/** The model for the suite, with what `broken` puts in place of its methods. */
export function modelUnderTest(
  broken: (store: ModelStore) => Partial<IdempotencyStore> = () => ({}),
): TransactionalStoreUnderTest {
  const clock = virtualClock()
  const model = new ModelStore(memoryStore({ clock }))
  const overrides: Partial<IdempotencyStore> = broken(model)
  const store: IdempotencyStore = {
    name: model.name,
    acquire: (request) => model.acquire(request),
    heartbeat: (lease) => model.heartbeat(lease),
    complete: (lease, response) => model.complete(lease, response),
    release: (lease) => model.release(lease),
    read: (lease) => model.read(lease),
    begin: (lease) => model.begin(lease),
    ...overrides,
  }
  return {
    store,
    advance: (ms) => clock.advance(ms),
    effects: {
      add: (client, effect) => void (client as Draft).effects.push(effect),
      addDoomed: (client) => void ((client as Draft).doomed = true),
      list: async () => model.committed,
    },
  }
}
