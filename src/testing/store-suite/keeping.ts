import { assertEqual, assertTrue, sameBytes } from './assertions.ts'
import { TTL_MS, acquired, ask, bytes, completed, type StoreCase } from './support.ts'

export const keeping: readonly StoreCase[] = [
  {
    name: 'every byte comes back as it was given, from none to a mebibyte',
    async run({ store }) {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      const large = Uint8Array.from({ length: 1_048_576 }, (_, index) => (index * 31) % 256)
      for (const [index, response] of [new Uint8Array(), all, large, bytes('0'), bytes('\0')].entries()) {
        const request = ask({ key: `bytes-${index}` })
        await acquired(store, request)
        assertEqual(await store.complete(request, response), 'completed')
        const result = await store.acquire(ask({ key: `bytes-${index}` }))
        assertEqual(result.type, 'done')
        if (result.type === 'done') assertTrue(sameBytes(result.response, response), `bytes-${index}`)
      }
    },
  },
  {
    name: 'what is recorded stays as it is when the bytes are changed that were given, or that came back',
    async run({ store }) {
      const request = ask()
      const given = bytes('done')
      await acquired(store, request)
      assertEqual(await store.complete(request, given), 'completed')
      given.fill(0)
      for (let time = 1; time <= 2; time++) {
        const result = await store.acquire(ask())
        assertEqual(result.type, 'done')
        if (result.type !== 'done') return
        assertEqual(new TextDecoder().decode(result.response), 'done', `acquire, time ${time}`)
        result.response.fill(0)
        const recorded = await store.read(ask())
        assertEqual(new TextDecoder().decode(recorded), 'done', `read, time ${time}`)
        recorded?.fill(0)
      }
    },
  },
  {
    name: 'reading gives what was recorded, only for the same request, and claims nothing',
    async run({ store }) {
      const request = ask()
      assertEqual(await store.read(request), undefined)
      await acquired(store, request)
      assertEqual(await store.read(ask()), undefined)
      await store.complete(request, bytes('done'))
      const recorded = await store.read(ask())
      assertEqual(new TextDecoder().decode(recorded), 'done')
      assertEqual(await store.read(ask({ fingerprint: 'other' })), undefined)
      assertEqual(await store.read(ask({ scope: 'somebody else' })), undefined)
    },
  },
  {
    name: 'a scope holds so many keys, other scopes and its own keys are not affected',
    async run({ store }) {
      const limit = { maxKeysPerScope: 3 }
      for (const key of ['1', '2', '3']) await acquired(store, ask({ key, ...limit }))
      const result = await store.acquire(ask({ key: '4', ...limit }))
      assertEqual(result.type, 'full')
      if (result.type === 'full') {
        assertEqual(result.limit, 'scope')
        assertTrue(result.retryAfterMs > 0 && result.retryAfterMs <= TTL_MS, String(result.retryAfterMs))
      }
      assertEqual((await store.acquire(ask({ key: '1', ...limit }))).type, 'busy')
      await acquired(store, ask({ key: '4', scope: 'somebody else', ...limit }))
    },
  },
  {
    name: 'a full scope has room again when its keys have expired',
    async run({ store, advance }) {
      const limit = { maxKeysPerScope: 2 }
      await completed(store, ask({ key: '1', ...limit }))
      await advance(TTL_MS / 2)
      await completed(store, ask({ key: '2', ...limit }))
      assertEqual((await store.acquire(ask({ key: '3', ...limit }))).type, 'full')
      await advance(TTL_MS / 2)
      await acquired(store, ask({ key: '3', ...limit }))
      assertEqual((await store.acquire(ask({ key: '4', ...limit }))).type, 'full')
    },
  },
  {
    name: 'of two limits the smaller lets nobody in where the larger has let in more, also when some have expired',
    async run({ store, advance }) {
      const [small, large] = [{ maxKeysPerScope: 2 }, { maxKeysPerScope: 20 }]
      for (let key = 1; key <= 8; key++) await completed(store, ask({ key: String(key), ...large }))
      await advance(TTL_MS / 2)
      for (let key = 9; key <= 12; key++) await completed(store, ask({ key: String(key), ...large }))
      const typeFor = async (limit: typeof small): Promise<string> =>
        (await store.acquire(ask({ key: 'next', ...limit }))).type
      assertEqual(await typeFor(small), 'full')
      await advance(TTL_MS / 2)
      // One that has expired is as new as any.
      assertEqual((await store.acquire(ask({ key: '8', ...small }))).type, 'full')
      assertEqual(await typeFor(small), 'full')
      assertEqual(await typeFor(large), 'acquired')
      assertEqual((await store.acquire(ask({ key: 'another', ...small }))).type, 'full')
    },
  },
  {
    name: 'a key that is released and taken again counts once',
    async run({ store }) {
      const limit = { maxKeysPerScope: 1 }
      for (let time = 1; time <= 3; time++) {
        const request = ask(limit)
        assertEqual(await acquired(store, request), time)
        await store.release(request)
      }
    },
  },
]
