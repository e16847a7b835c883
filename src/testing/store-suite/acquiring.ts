import { assertEqual, assertTrue } from './assertions.ts'
import { LEASE_MS, acquired, ask, type StoreCase } from './support.ts'

export const acquiring: readonly StoreCase[] = [
  {
    name: 'a new key is acquired, with the first fence',
    async run({ store }) {
      assertEqual(await acquired(store, ask()), 1)
    },
  },
  {
    name: 'a key in progress is busy for another owner, for as long as its lease',
    async run({ store, advance }) {
      await acquired(store, ask())
      await advance(LEASE_MS / 4)
      const result = await store.acquire(ask())
      assertEqual(result.type, 'busy')
      if (result.type !== 'busy') return
      assertTrue(
        result.retryAfterMs > 0 && result.retryAfterMs <= LEASE_MS * 0.75,
        String(result.retryAfterMs),
      )
    },
  },
  {
    name: 'the same owner acquires again and gets the same fence: an answer may have got lost',
    async run({ store }) {
      const request = ask()
      const fence = await acquired(store, request)
      assertEqual(await acquired(store, request), fence)
    },
  },
  {
    name: 'of fifty at once exactly one acquires, the others find it busy',
    async run({ store }) {
      const results = await Promise.all(Array.from({ length: 50 }, () => store.acquire(ask())))
      assertEqual(results.filter(({ type }) => type === 'acquired').length, 1)
      assertEqual(results.filter(({ type }) => type === 'busy').length, 49)
    },
  },
  {
    name: 'two scopes, and two keys, never meet, wherever a delimiter stands',
    async run({ store }) {
      for (const [scope, key] of [
        ['a:', 'b'],
        ['a', ':b'],
        ['a', 'b'],
        ['a:b', ':'],
        ['a\0', 'b'],
        ['a', '\0b'],
        ['A', 'b'],
      ]) {
        assertEqual(await acquired(store, ask({ scope: scope ?? '', key: key ?? '' })), 1, `${scope} ${key}`)
      }
    },
  },
  {
    name: 'keys differ in case and in every other character',
    async run({ store }) {
      for (const key of ['k', 'K', 'k ', 'k%', 'k_', "k'", 'k"', 'ключ']) {
        assertEqual(await acquired(store, ask({ key })), 1, key)
      }
    },
  },
]
