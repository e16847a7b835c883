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

export const owning: readonly StoreCase[] = [
  {
    name: 'a heartbeat extends the lease from now',
    async run({ store, advance }) {
      const request = ask()
      await acquired(store, request)
      await advance(LEASE_MS * 0.9)
      assertEqual(await store.heartbeat(request), 'extended')
      await advance(LEASE_MS * 0.9)
      assertEqual((await store.acquire(ask())).type, 'busy')
    },
  },
  {
    name: 'an owner whose lease ran out completes all the same, as long as nobody took over',
    async run({ store, advance }) {
      const request = ask()
      await acquired(store, request)
      await advance(LEASE_MS * 1.5)
      assertEqual(await store.heartbeat(request), 'extended')
      await advance(LEASE_MS * 1.5)
      assertEqual(await store.complete(request, bytes('slow')), 'completed')
      await assertRecorded(store, 'slow')
    },
  },
  {
    name: 'an owner completes twice, and the first response stays',
    async run({ store }) {
      const request = ask()
      await completed(store, request, 'first')
      assertEqual(await store.complete(request, bytes('second')), 'completed')
      await assertRecorded(store, 'first')
    },
  },
  {
    name: 'an owner that has completed and asks again gets its response, and does not run again',
    async run({ store }) {
      const request = ask()
      await completed(store, request)
      const result = await store.acquire(request)
      assertEqual(result.type, 'done', 'acquire by the same owner')
    },
  },
  {
    name: 'a heartbeat after completion revives nothing',
    async run({ store, advance }) {
      const request = ask({ leaseMs: TTL_MS })
      await completed(store, request)
      await advance(TTL_MS / 2)
      assertEqual(await store.heartbeat(request), 'lost')
      await advance(TTL_MS / 2)
      await acquired(store, ask({ fingerprint: 'other' }))
    },
  },
  {
    name: 'a stale owner completes nothing that its successor has given back',
    async run({ store, advance }) {
      const first = ask()
      const second = ask({ abandoned: 'takeover' })
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      await acquired(store, second)
      await store.release(second)
      assertEqual(await store.complete(first, bytes('first')), 'stale')
      assertEqual(await acquired(store, ask()), 3)
    },
  },
  {
    name: 'a stale owner can not extend, complete or release while its successor runs',
    async run({ store, advance }) {
      const first = ask()
      const second = ask({ abandoned: 'takeover' })
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      await acquired(store, second)
      assertEqual(await store.heartbeat(first), 'lost')
      assertEqual(await store.complete(first, bytes('first')), 'stale')
      assertEqual(await store.release(first), 'stale')
      assertEqual((await store.acquire(ask())).type, 'busy')
      assertEqual(await store.complete(second, bytes('second')), 'completed')
      await assertRecorded(store, 'second')
    },
  },
  {
    name: 'a stale owner can not touch the response its successor recorded',
    async run({ store, advance }) {
      const first = ask()
      await acquired(store, first)
      await advance(LEASE_MS + 1)
      await completed(store, ask({ abandoned: 'takeover' }), 'second')
      assertEqual(await store.heartbeat(first), 'lost')
      assertEqual(await store.complete(first, bytes('first')), 'stale')
      assertEqual(await store.release(first), 'stale')
      await assertRecorded(store, 'second')
    },
  },
  {
    name: 'an owner whose key has expired can not touch the one who has it now',
    async run({ store, advance }) {
      const first = ask()
      const second = ask({ fingerprint: 'other' })
      await acquired(store, first)
      await advance(TTL_MS + LEASE_MS + 1)
      await acquired(store, second)
      assertEqual(await store.heartbeat(first), 'lost')
      assertEqual(await store.complete(first, bytes('first')), 'stale')
      assertEqual(await store.release(first), 'stale')
      assertEqual(await store.read(first), undefined)
    },
  },
  {
    name: 'who never acquired owns nothing',
    async run({ store }) {
      const stranger = ask()
      assertEqual(await store.heartbeat(stranger), 'lost')
      assertEqual(await store.complete(stranger, bytes('x')), 'stale')
      assertEqual(await store.release(stranger), 'stale')
      assertEqual(await store.read(stranger), undefined)
      await acquired(store, ask())
      assertEqual(await store.complete(stranger, bytes('x')), 'stale')
      assertEqual(await store.release(stranger), 'stale')
    },
  },
]
