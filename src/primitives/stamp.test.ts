import { expect, test } from 'vitest'
import { createStamp } from './stamp.ts'

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
