import { expect, test } from 'vitest'
import { BoundedMap } from './bounded-map.ts'
import { createStamp } from './stamp.ts'

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

test('forgets what was used longest ago', () => {
  const bounded = map(2)
  for (const key of ['a', 'b', 'a', 'c']) bounded.get(key)
  expect([...bounded]).toEqual(['a', 'c'])
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

test('a stamp is invisible, works on frozen objects and functions, and is each its own', () => {
  const [one, other] = [createStamp<number>(), createStamp<number>()]
  const frozen = Object.freeze({ a: 1 })
  const callable = (): void => {}
  one.set(frozen, 1)
  one.set(frozen, 2)
  one.set(callable, 3)
  expect([one.get(frozen), other.get(frozen), one.get(callable)]).toEqual([2, undefined, 3])
  expect(Reflect.ownKeys(frozen)).toEqual(['a'])
  expect([one.get(undefined), one.get('text'), one.get({})]).toEqual([undefined, undefined, undefined])
})
