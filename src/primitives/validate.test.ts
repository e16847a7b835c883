import { describe, expect, test } from 'vitest'
import {
  checkCount,
  checkFraction,
  checkFunction,
  checkInteger,
  checkKeys,
  checkMethods,
  checkNumber,
  checkObject,
  checkOneOf,
  checkOptions,
  checkPositive,
  invalidOption,
  oneOf,
  orFalse,
  unchecked,
  type Rule,
} from './validate.ts'

test.each([
  ['text', '"text"'],
  ['', '""'],
  [() => 1, 'a function'],
  [[1, 2], 'an array of 2'],
  [{ a: 1, b: 2 }, 'an object with a, b'],
  [{}, 'an object with no keys'],
  [null, 'null'],
  [undefined, 'undefined'],
  [Number.NaN, 'NaN'],
  [Symbol('own'), 'Symbol(own)'],
])('a message shows what it got: %s', (value, shown) => {
  const error = invalidOption('part.option', 'another', value)
  expect(error).toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: `part.option should be another, got ${shown}`,
  })
})

describe('a rule', () => {
  const atLeastTwo =
    (check: (name: string, value: unknown, minimum: number) => void): Rule =>
    (name, value) =>
      check(name, value, 2)

  test.each<[Rule, expected: string, passing: unknown[], failing: unknown[]]>([
    [checkNumber, 'a number >= 0', [0, 1.5], [-0.1, Infinity, Number.NaN, '1', undefined]],
    [atLeastTwo(checkNumber), 'a number >= 2', [2], [1.9]],
    [checkPositive, 'a number > 0', [0.1], [0, -1, Infinity, '1']],
    [checkInteger, 'an integer >= 0', [0, 3], [-1, 1.5, '1']],
    [atLeastTwo(checkInteger), 'an integer >= 2', [2], [1]],
    [checkCount, 'an integer >= 1', [1], [0, 1.5]],
    [checkFraction, 'in (0, 1]', [0.1, 1], [0, -0.5, 1.1, Number.NaN, '0.5']],
    [oneOf('a', false), 'one of "a", false', ['a', false], ['b', 'false', undefined]],
    [(name, value) => checkOneOf(name, value, ['a', 'b']), 'one of "a", "b"', ['a', 'b'], ['c']],
    [checkFunction, 'a function', [() => 1], ['call', {}]],
    [checkObject, 'an object', [{}, new Map()], [null, undefined, [], 'text', () => 1]],
    [orFalse(checkCount), 'an integer >= 1', [1, false], [0, true, null]],
    [
      (name, value) => checkMethods(name, 'a store', value, ['get', 'set']),
      'a store, with get and set',
      [{ get() {}, set() {} }, new Map()],
      [{ get() {} }, { get() {}, set: 1 }, null, undefined],
    ],
    [unchecked, 'anything', [null, undefined, 'text'], []],
  ])('%#: %s', (check, expected, passing, failing) => {
    for (const value of passing) expect(() => check('option', value)).not.toThrow()
    for (const value of failing)
      expect(() => check('option', value)).toThrow(invalidOption('option', expected, value))
  })
})

describe('options', () => {
  test('are refused where nobody reads one, or where they are no object', () => {
    expect(() => checkKeys('part', { a: 1 }, ['a', 'b'])).not.toThrow()
    expect(() => checkKeys('part', { a: 1, c: 1 }, ['a', 'b'])).toThrow('part has no option "c"; it has a, b')
    expect(() => checkKeys('part', null, ['a'])).toThrow('part should be an object, got null')
  })

  test('are checked by the rule of each that is given, by their names', () => {
    const rules = { count: checkCount, share: checkFraction }
    expect(() => checkOptions('part', { count: undefined, share: 0.5 }, rules)).not.toThrow()
    expect(() => checkOptions('part', { share: 2 }, rules)).toThrow('part.share should be in (0, 1], got 2')
    expect(() => checkOptions('part', { count: 0 }, rules, 'own: ')).toThrow('own: count should be')
    expect(() => checkOptions('part', { shares: 1 }, rules)).toThrow(
      'part has no option "shares"; it has count, share',
    )
  })
})
