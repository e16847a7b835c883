import type { AcquireRequest, IdempotencyStore, Lease } from '../../../src/idempotency/store.ts'

/**
 * What a store without fencing does, on top of a good one: whoever comes takes an abandoned key over, whatever the
 * policy says, and whoever completes is believed, whosever key it has become. The torture has to catch it.
 *
 * @param seize - makes the caller the owner of a record, and the record one in progress.
 */
export function unfencedStore(
  store: IdempotencyStore,
  seize: (lease: Lease) => Promise<void>,
): IdempotencyStore {
  const seizing =
    <Args extends [Lease, ...unknown[]], T>(work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      await seize(args[0])
      return work(...args)
    }
  const begin = store.begin?.bind(store)
  return {
    name: `unfenced ${store.name}`,
    acquire: (request: AcquireRequest) => store.acquire({ ...request, abandoned: 'takeover' }),
    heartbeat: (lease) => store.heartbeat(lease),
    complete: seizing((lease: Lease, response: Uint8Array) => store.complete(lease, response)),
    release: (lease) => store.release(lease),
    read: (lease) => store.read(lease),
    ...(begin === undefined
      ? {}
      : {
          begin: async (lease: Lease | undefined) => {
            if (lease !== undefined) await seize(lease)
            return begin(lease)
          },
        }),
  }
}
