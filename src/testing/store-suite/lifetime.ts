import { assertEqual } from './assertions.ts'
import {
  LEASE_MS,
  TTL_MS,
  acquired,
  ask,
  assertRecorded,
  bytes,
  completed,
  type StoreCase,
} from './support.ts'

export const lifetime: readonly StoreCase[] = [
  {
    name: 'a recorded response comes back for the whole window, and not after it',
    async run({ store, advance }) {
      await completed(store, ask())
      await advance(TTL_MS - 1)
      await assertRecorded(store, 'done')
      await advance(1)
      await acquired(store, ask())
    },
  },
  {
    name: 'the window counts from acceptance, not from completion',
    async run({ store, advance }) {
      const request = ask({ leaseMs: TTL_MS / 4 })
      await acquired(store, request)
      await advance(TTL_MS / 4)
      await store.complete(request, bytes('done'))
      await advance((TTL_MS * 3) / 4)
      await acquired(store, ask())
    },
  },
  {
    name: 'a response that was long in the making is kept for the grace after its completion',
    async run({ store, advance }) {
      const request = ask({ leaseMs: TTL_MS })
      await acquired(store, request)
      await advance(TTL_MS - 1)
      await store.complete(request, bytes('late'))
      await advance(TTL_MS - 1)
      await assertRecorded(store, 'late')
      await advance(1)
      await acquired(store, ask())
    },
  },
  {
    name: 'a key in progress outlives its window as long as its owner keeps it alive',
    async run({ store, advance }) {
      const request = ask()
      await acquired(store, request)
      for (let passedMs = 0; passedMs < TTL_MS * 2; passedMs += LEASE_MS / 2) {
        await advance(LEASE_MS / 2)
        assertEqual(await store.heartbeat(request), 'extended')
      }
      assertEqual((await store.acquire(ask())).type, 'busy')
      assertEqual(await store.complete(request, bytes('done')), 'completed')
      await assertRecorded(store, 'done')
    },
  },
  {
    name: 'an expired key is acquired by exactly one of fifty',
    async run({ store, advance }) {
      await completed(store, ask())
      await advance(TTL_MS + 1)
      const results = await Promise.all(Array.from({ length: 50 }, () => store.acquire(ask())))
      assertEqual(results.filter(({ type }) => type === 'acquired').length, 1)
      assertEqual(results.filter(({ type }) => type === 'busy').length, 49)
    },
  },
  {
    name: 'an expired key takes another request',
    async run({ store, advance }) {
      await completed(store, ask())
      await advance(TTL_MS + 1)
      await acquired(store, ask({ fingerprint: 'other' }))
    },
  },
]
