import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BoundedMap } from './bounded-map.ts'

const map = (capacity: number, isIdle: (key: string) => boolean = () => true): BoundedMap<string> =>
  new BoundedMap(capacity, (key) => key, isIdle)

test('makes what is missing, once', () => {
  let made = 0
  const counted = new BoundedMap(
    2,
    () => ({ number: ++made }),
    () => true,
  )
  expect(counted.get('a')).toBe(counted.get('a'))
  expect(made).toBe(1)
})

test('tells what it has, and does not make it', () => {
  const bounded = map(2)
  bounded.get('a')
  expect([bounded.has('a'), bounded.has('b'), bounded.size]).toEqual([true, false, 1])
})

test('forgets what was used longest ago', () => {
  const bounded = map(2)
  for (const key of ['a', 'b', 'a', 'c']) bounded.get(key)
  expect([...bounded]).toEqual(['a', 'c'])
})

test('whatever is used: as a plain list of the latest says', () => {
  const keys = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), { maxLength: 40 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), keys, (capacity, used) => {
      const bounded = map(capacity)
      let latest: string[] = []
      for (const key of used) {
        bounded.get(key)
        latest = [...latest.filter((each) => each !== key), key].slice(-capacity)
      }
      expect([...bounded]).toEqual(latest)
    }),
  )
})

test('using the latest again keeps the order right', () => {
  const bounded = map(3)
  for (const key of ['a', 'b', 'b', 'a', 'c', 'd']) bounded.get(key)
  expect([...bounded]).toEqual(['a', 'c', 'd'])
})

test('exceeds its bound rather than forget what is not idle', () => {
  const bounded = map(2, (key) => key !== 'busy' && key !== 'open')
  for (const key of ['busy', 'open', 'a', 'b']) bounded.get(key)
  expect([...bounded]).toEqual(['busy', 'open', 'b'])
})

test('what was busy is forgotten once it is idle, as soon as its turn comes', () => {
  const busy = new Set(['a', 'b'])
  const bounded = map(3, (key) => !busy.has(key))
  for (const key of ['a', 'b', 'c', 'd']) bounded.get(key)
  expect([...bounded]).toEqual(['a', 'b', 'd'])
  busy.clear()
  for (const key of ['e', 'f', 'g', 'h', 'i']) bounded.get(key)
  expect([...bounded]).toEqual(['g', 'h', 'i'])
})

test('comes back to its bound after many were busy at once', () => {
  const busy = new Set(['a', 'b', 'c', 'd', 'e', 'f'])
  const bounded = map(3, (key) => !busy.has(key))
  for (const key of busy) bounded.get(key)
  expect(bounded.size).toBe(6)
  busy.clear()
  busy.add('b')
  bounded.get('g')
  expect([...bounded]).toEqual(['b', 'f', 'g'])
})

test('all busy: each is asked once, and the map grows', () => {
  let asked = 0
  const bounded = map(2, () => asked++ < 0)
  for (const key of ['a', 'b', 'c']) bounded.get(key)
  expect([...bounded]).toEqual(['a', 'b', 'c'])
  expect(asked).toBe(2)
})
