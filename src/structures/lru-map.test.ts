import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LruMap, type LruLimits } from './lru-map.ts'

const map = (limits: Partial<LruLimits>): LruMap<string> =>
  new LruMap({ maxEntries: Infinity, maxBytes: Infinity, ...limits })

const held = (of: LruMap<string>, ...keys: string[]): string[] =>
  keys.filter((key) => of.get(key) !== undefined)

describe('what was used longest ago is forgotten', () => {
  test('where there are too many entries', () => {
    const lru = map({ maxEntries: 2 })
    for (const key of ['a', 'b']) lru.set(key, key, { bytes: 1 })
    lru.get('a')
    lru.set('c', 'c', { bytes: 1 })
    expect(held(lru, 'a', 'b', 'c')).toEqual(['a', 'c'])
  })

  test('where there are too many bytes, as many as it takes', () => {
    const lru = map({ maxBytes: 10 })
    for (const key of ['a', 'b', 'c']) lru.set(key, key, { bytes: 3 })
    lru.set('d', 'd', { bytes: 7 })
    expect(held(lru, 'a', 'b', 'c', 'd')).toEqual(['c', 'd'])
  })

  test('but nothing for what is heavier than all of it, which is not taken in', () => {
    const lru = map({ maxBytes: 10 })
    lru.set('a', 'a', { bytes: 3 })
    lru.set('b', 'b', { bytes: 11 })
    expect(held(lru, 'a', 'b')).toEqual(['a'])
  })
})

test('what takes the place of something weighs instead of it, and what has no room does not leave the old one', () => {
  const lru = map({ maxBytes: 10 })
  lru.set('a', 'a', { bytes: 9 })
  lru.set('a', 'a again', { bytes: 2 })
  lru.set('b', 'b', { bytes: 8 })
  expect([lru.get('a'), lru.get('b')]).toEqual(['a again', 'b'])
  lru.set('a', 'too heavy', { bytes: 11 })
  expect(lru.get('a')).toBeUndefined()
})

test('an entry may be counted by its bytes only', () => {
  const lru = map({ maxEntries: 1, maxBytes: 10 })
  lru.set('free', 'free', { bytes: 4, entries: 0 })
  lru.set('a', 'a', { bytes: 4 })
  expect(held(lru, 'free', 'a')).toEqual(['free', 'a'])
  lru.set('b', 'b', { bytes: 4 })
  expect(held(lru, 'free', 'a', 'b')).toEqual(['b'])
})

test('what is deleted is given back, and weighs nothing any more; so it is with all of it', () => {
  const lru = map({ maxEntries: 1 })
  lru.set('a', 'a', { bytes: 1 })
  expect(lru.delete('a')).toBe('a')
  expect(lru.delete('a')).toBeUndefined()
  lru.set('b', 'b', { bytes: 1 })
  lru.clear()
  expect(lru.get('b')).toBeUndefined()
  lru.set('c', 'c', { bytes: 1 })
  expect(lru.get('c')).toBe('c')
})

test('whatever is done: as a plain list of the latest says', () => {
  const use = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    bytes: fc.integer({ min: 0, max: 12 }),
    what: fc.constantFrom('get', 'set', 'delete'),
  })
  fc.assert(
    fc.property(fc.array(use, { maxLength: 60 }), (uses) => {
      const lru = map({ maxEntries: 3, maxBytes: 10 })
      let list: { key: string; bytes: number }[] = []
      for (const { key, bytes, what } of uses) {
        const found = list.find((each) => each.key === key)
        const others = list.filter((each) => each !== found)
        if (what === 'get') {
          expect(lru.get(key)).toBe(found && key)
          if (found !== undefined) list = [...others, found]
        } else if (what === 'delete') {
          expect(lru.delete(key)).toBe(found && key)
          list = others
        } else {
          lru.set(key, key, { bytes })
          list = bytes > 10 ? others : [...others, { key, bytes }]
          while (list.length > 3 || list.reduce((sum, each) => sum + each.bytes, 0) > 10) list.shift()
        }
      }
    }),
  )
})
