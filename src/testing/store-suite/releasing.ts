import { assertEqual } from './assertions.ts'
import { acquired, ask, assertRecorded, bytes, completed, type StoreCase } from './support.ts'

export const releasing: readonly StoreCase[] = [
  {
    name: 'a released key is acquired again, with the next fence, for whatever is asked',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      assertEqual(await store.release(request), 'released')
      assertEqual(await acquired(store, ask({ fingerprint: 'corrected' })), 2)
    },
  },
  {
    name: 'an owner releases twice',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      assertEqual(await store.release(request), 'released')
      assertEqual(await store.release(request), 'released')
    },
  },
  {
    name: 'who has released can not complete or extend',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      await store.release(request)
      assertEqual(await store.heartbeat(request), 'lost')
      assertEqual(await store.complete(request, bytes('x')), 'stale')
      assertEqual(await store.read(request), undefined)
    },
  },
  {
    name: 'who has completed can not release',
    async run({ store }) {
      const request = ask()
      await completed(store, request)
      assertEqual(await store.release(request), 'stale')
      await assertRecorded(store, 'done')
    },
  },
  {
    name: 'who has released can not release the run of who has the key now',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      await store.release(request)
      await acquired(store, ask())
      assertEqual(await store.release(request), 'stale')
      assertEqual((await store.acquire(ask())).type, 'busy')
    },
  },
  {
    name: 'a released key is acquired by exactly one of fifty',
    async run({ store }) {
      const request = ask()
      await acquired(store, request)
      await store.release(request)
      const results = await Promise.all(Array.from({ length: 50 }, () => store.acquire(ask())))
      assertEqual(results.filter(({ type }) => type === 'acquired').length, 1)
    },
  },
]
