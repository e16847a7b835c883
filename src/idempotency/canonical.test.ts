import { describe, expect, test } from 'vitest'
import { canonicalJson } from './canonical.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const canonical = (text: string, type = 'application/json'): string | undefined =>
  canonicalJson(bytes(text), type)

describe('canonical JSON', () => {
  test.each([
    ['{"b":1,"a":2}', '{"a":2,"b":1}'],
    [' { "a" : [ 1 , 2.0, 1e2 ] }\n', '{"a":[1,2,100]}'],
    ['{"\\u00e9":"\\u0041/\\/"}', '{"é":"A//"}'],
    ['{"a:b":"c:d, \\" 1e999"}', '{"a:b":"c:d, \\" 1e999"}'],
    ['{"__proto__":1,"constructor":{"x":1}}', '{"__proto__":1,"constructor":{"x":1}}'],
    ['{"toJSON":1}', '{"toJSON":1}'],
    ['[0.1, -0, 1E-7, 9007199254740991, 1.50]', '[0.1,0,1e-7,9007199254740991,1.5]'],
    ['"x"', '"x"'],
    ['null', 'null'],
    ['{"a":"😀"}', '{"a":"😀"}'],
    ['[1.000, 100e-2, 0.0e9, -0.50]', '[1,1,0,-0.5]'],
  ])('of %s is %s', (text, expected) => {
    expect(canonical(text)).toBe(expected)
  })

  test.each([
    ['repeated members', '{"a":1,"a":2}'],
    ['repeated members, spelt differently', '{"a":1,"\\u0061":2}'],
    ['repeated members inside', '[{"x":{"a":1,"b":2,"a":1}}]'],
    ['a number beyond all doubles', '1e400'],
    ['a number below all doubles', '[1e-400]'],
    ['an integer that loses its last digit', '9007199254740993'],
    ['an integer of many digits', '{"id":12345678901234567890}'],
    ['a fraction with more digits than a double has', '0.1000000000000000055511151231257827'],
    ['half a surrogate pair', '"\\ud800"'],
    ['half a surrogate pair in a name', '{"\\udc00":1}'],
    ['no JSON', '{a:1}'],
    ['nothing', ''],
    ['a byte order mark', '\ufeff{}'],
    ['a number whose digits are a line of zeros between two others', `1${'0'.repeat(400_000)}1`],
    ['the same behind the point', `[0.1${'0'.repeat(400_000)}1]`],
    ['more depth than each stack has room for', '['.repeat(257) + ']'.repeat(257)],
    ['more depth than anybody can follow', '['.repeat(200_000) + ']'.repeat(200_000)],
  ])('is not made of %s', (_, text) => {
    expect(canonical(text)).toBeUndefined()
  })

  test('is made of what is nested 256 times', () => {
    const text = `${'{"a":['.repeat(128)}1${']}'.repeat(128)}`
    expect(canonical(text)).toBe(text)
  })

  test('is not made of bytes that are no UTF-8', () => {
    expect(canonicalJson(Uint8Array.of(0x22, 0xff, 0x22), 'application/json')).toBeUndefined()
  })

  test.each([
    ['application/json; charset=utf-8', true],
    ['application/vnd.order+json', true],
    ['Application/JSON', true],
    ['application/json; charset=utf-16', false],
    ['text/plain', false],
    ['application/jsonl', false],
    ['', false],
  ])('is for JSON media types: %s', (type, isJson) => {
    expect(canonical('{}', type) !== undefined).toBe(isJson)
  })
})
