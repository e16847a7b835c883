import { assertEqual } from './assertions.ts'
import { LEASE_MS, acquired, ask, assertRecorded, completed, type StoreCase } from './support.ts'

export const order: readonly StoreCase[] = [
  {
    name: 'another request under the same key is a mismatch while the first one runs, before busy',
    async run({ store }) {
      await acquired(store, ask())
      assertEqual((await store.acquire(ask({ fingerprint: 'other' }))).type, 'mismatch')
    },
  },
  {
    name: 'another request under the same key is a mismatch after completion, however often',
    async run({ store }) {
      await completed(store, ask())
      for (let time = 0; time < 3; time++) {
        assertEqual((await store.acquire(ask({ fingerprint: 'other' }))).type, 'mismatch')
      }
      await assertRecorded(store, 'done')
    },
  },
  {
    name: 'another request under an abandoned key is a mismatch, with takeover too',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS + 1)
      const other = ask({ fingerprint: 'other', abandoned: 'takeover' })
      assertEqual((await store.acquire(other)).type, 'mismatch')
    },
  },
  {
    name: 'an abandoned key stays blocked',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS + 1)
      assertEqual((await store.acquire(ask())).type, 'abandoned')
      assertEqual((await store.acquire(ask())).type, 'abandoned')
    },
  },
  {
    name: 'an abandoned key is taken over, with the next fence, by exactly one',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS + 1)
      const takers = Array.from({ length: 50 }, () => store.acquire(ask({ abandoned: 'takeover' })))
      const winners = (await Promise.all(takers)).filter((result) => result.type === 'acquired')
      assertEqual(winners.length, 1)
      assertEqual(winners[0]?.fence, 2)
    },
  },
  {
    name: 'a live lease is not taken over',
    async run({ store }) {
      await acquired(store, ask())
      assertEqual((await store.acquire(ask({ abandoned: 'takeover' }))).type, 'busy')
    },
  },
]
