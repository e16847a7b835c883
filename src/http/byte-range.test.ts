import { afterEach, describe, expect, test, vi } from 'vitest'
import { isPartial, isRestOf, rangeHeaders, representationOf, type Representation } from './byte-range.ts'

const PLACE = 'http://api.test/file'

interface Given {
  readonly status?: number
  readonly url?: string
  readonly type?: ResponseType
  readonly headers?: Record<string, string>
}

function response(whole: Given, { headers, ...changes }: Given): Response {
  const given = { url: PLACE, type: 'basic', ...whole, ...changes }
  const lines = Object.entries({ ...whole.headers, ...headers }).filter(([, value]) => value !== '')
  // Undici keeps the spaces around a value; the platform's own `Headers` do not.
  const get = (name: string): string | null => lines.find(([line]) => line === name)?.[1] ?? null
  return { ...given, headers: { get, has: (name: string) => get(name) !== null } } as unknown as Response
}

/** A page of another origin, which sees only what is exposed to it. */
const onPage = (): unknown => vi.stubGlobal('location', { origin: 'http://page.test' })

afterEach(() => void vi.unstubAllGlobals())

describe('representationOf', () => {
  const whole = { status: 200, headers: { etag: '"v1"', 'content-length': '1000' } }
  const of = (changes: Given): Representation | undefined => representationOf(response(whole, changes))
  const known = { etag: '"v1"', length: 1000, place: PLACE }

  test.each<[string, Given]>([
    ['as it should be', {}],
    ['with spaces around its values', { headers: { etag: ' "v1" ', 'content-length': ' 1000 ' } }],
    ['whose server sends parts', { headers: { 'accept-ranges': 'bytes' } }],
    ['with another name for parts', { headers: { 'accept-ranges': 'none-of-yours' } }],
    ['with another name for parts, once more', { headers: { 'accept-ranges': 'x-none' } }],
    ['signed in its query', { url: `${PLACE}?signature=1#part\n?` }],
    ['of another origin, outside a page', { type: 'cors' }],
  ])('a response %s', (_, changes) => {
    expect(of(changes)).toEqual(known)
  })

  test.each<[string, Given]>([
    ['no 200', { status: 203 }],
    ['no tag', { headers: { etag: '' } }],
    ['a weak tag', { headers: { etag: 'W/"v1"' } }],
    ['a tag with something after it', { headers: { etag: '"v1"x' } }],
    ['a tag with a space in it', { headers: { etag: '"v 1"' } }],
    ['no length', { headers: { 'content-length': '' } }],
    ['two lengths', { headers: { 'content-length': '1000, 1000' } }],
    ['a length in another notation', { headers: { 'content-length': '1e3' } }],
    ['a negative length', { headers: { 'content-length': '-1' } }],
    ['a length that is none', { headers: { 'content-length': 'x' } }],
    ['a length beyond what a number can tell', { headers: { 'content-length': '9007199254740993' } }],
    ['a coding', { headers: { 'content-encoding': 'gzip' } }],
    ['trailers', { headers: { trailer: 'digest' } }],
    ['a server that sends no parts', { headers: { 'accept-ranges': 'None' } }],
  ])('nothing of one with %s', (_, changes) => {
    expect(of(changes)).toBeUndefined()
  })

  test('an empty one is whole, too', () => {
    expect(of({ headers: { 'content-length': '0' } })).toEqual({ ...known, length: 0 })
  })

  test('on a page a foreign origin has to show that there is no coding', () => {
    onPage()
    const exposing = (names: string): boolean =>
      of({ type: 'cors', headers: { 'access-control-expose-headers': names } }) !== undefined
    expect(of({})).toEqual(known)
    expect(['', 'etag', 'etag,x-content-encoding'].map(exposing)).toEqual([false, false, false])
    const enough = ['*', 'Content-Encoding', 'etag,content-encoding', 'content-encoding , etag']
    expect(enough.map(exposing)).toEqual(enough.map(() => true))
    // Whatever a server fills it with: nobody looks from each blank to the end of them.
    expect(exposing(`etag${' '.repeat(100_000)}x, content-encoding`)).toBe(true)
  })
})

test('a request for a part, or with a condition, is somebody’s own business', () => {
  const partial = [{ range: 'bytes=0-' }, { 'If-None-Match': '"v1"' }, { accept: '*/*', Range: 'bytes=0-' }]
  expect(partial.map((headers) => isPartial(headers))).toEqual([true, true, true])
  const others = [undefined, {}, { accept: '*/*' }, { 'x-range': '1', 'what-if-': '1' }]
  expect(others.map((headers) => isPartial(headers))).toEqual([false, false, false, false])
})

test('the rest is asked for under the condition that nothing has changed', () => {
  const whole = { etag: '"v1"', length: 1000, place: PLACE }
  expect(rangeHeaders(whole, 400)).toEqual({ range: 'bytes=400-', 'if-range': '"v1"' })
})

describe('isRestOf', () => {
  const whole = { etag: '"v1"', length: 1000, place: PLACE }
  const rest = { status: 206, headers: { etag: '"v1"', 'content-range': 'bytes 400-999/1000' } }
  const isRest = (changes: Given): boolean => isRestOf(response(rest, changes), whole, 400)

  test.each<[string, Given]>([
    ['as it should be', {}],
    ['in other letters and with spaces', { headers: { 'content-range': ' Bytes 400-999/1000 ' } }],
    ['of an unknown whole', { headers: { 'content-range': 'bytes 400-999/*' } }],
    ['with its length', { headers: { 'content-length': '600' } }],
    ['with another signature', { url: `${PLACE}?signature=2` }],
    ['of a type whose name is like that of parts', { headers: { 'content-type': 'x-multipart/byteranges' } }],
  ])('an answer %s', (_, changes) => {
    expect(isRest(changes)).toBe(true)
  })

  test.each<[string, Given]>([
    ['the whole', { status: 200 }],
    ['another version', { headers: { etag: '"v2"' } }],
    ['from elsewhere', { url: 'http://mirror.test/file' }],
    [
      'in parts with headers of their own',
      { headers: { 'content-type': 'Multipart/ByteRanges; boundary=x' } },
    ],
    ['coded', { headers: { 'content-encoding': 'gzip' } }],
    ['without its place', { headers: { 'content-range': '' } }],
    ['from another place on', { headers: { 'content-range': 'bytes 399-999/1000' } }],
    ['up to another place', { headers: { 'content-range': 'bytes 400-998/1000' } }],
    ['beyond the end', { headers: { 'content-range': 'bytes 400-1001/1000' } }],
    ['of another length', { headers: { 'content-range': 'bytes 400-999/1001' } }],
    ['in another unit', { headers: { 'content-range': 'kbytes 400-999/1000' } }],
    ['with something after its place', { headers: { 'content-range': 'bytes 400-999/1000, x' } }],
    ['longer than it should be', { headers: { 'content-length': '1400' } }],
    ['shorter than it should be', { headers: { 'content-length': '400' } }],
  ])('not one that is %s', (_, changes) => {
    expect(isRest(changes)).toBe(false)
  })
})
