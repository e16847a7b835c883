import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseKey } from './key.ts'

const CHARACTERS = Array.from({ length: 0x7f - 0x21 }, (_, index) => String.fromCharCode(0x21 + index))
const BARE = CHARACTERS.filter((character) => !'",\\'.includes(character))

describe('a key', () => {
  test('of the characters that need no quotes equals its quoted form', () => {
    const keys = fc.string({ unit: fc.constantFrom(...BARE), minLength: 1, maxLength: 255 })
    fc.assert(
      fc.property(keys, (key) => {
        expect(parseKey([key], 'lenient')).toBe(key)
        expect(parseKey([`"${key}"`], 'lenient')).toBe(key)
        expect(parseKey([`"${key}"`], 'strict')).toBe(key)
      }),
    )
  })

  test('in quotes has its escapes undone, in both syntaxes', () => {
    for (const syntax of ['lenient', 'strict'] as const) {
      expect(parseKey(['"a\\"b\\\\c, d"'], syntax)).toBe('a"b\\c, d')
      expect(parseKey(['"k"; a=1;b="x"'], syntax)).toBe('k')
    }
  })

  test('never throws, whatever a client sends', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.constantFrom('lenient', 'strict'), (lines, syntax) => {
        const key = parseKey(lines, syntax)
        expect(key === undefined || (key.length > 0 && key.length <= 255)).toBe(true)
      }),
    )
  })

  test('counts 255 characters at most, without its quotes', () => {
    const longest = 'x'.repeat(255)
    expect(parseKey([`"${longest}"`], 'strict')).toBe(longest)
    expect(parseKey([`"${longest}x"`], 'strict')).toBeUndefined()
    expect(parseKey([`${longest}x`], 'lenient')).toBeUndefined()
  })
})
