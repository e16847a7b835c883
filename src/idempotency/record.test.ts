import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CorruptRecordError, decodeRecord, encodeRecord } from './record.ts'

const responses = fc.record({
  status: fc.constantFrom(200, 201, 202, 400, 402, 500, 599),
  statusText: fc.stringMatching(/^[\t -~\x80-\xff]*$/),
  headers: fc.array(
    fc.tuple(fc.stringMatching(/^[\w!#$%&'*+.^`|~-]+$/), fc.stringMatching(/^[\t -~\x80-\xff]*$/)),
  ),
  body: fc.option(fc.uint8Array(), { nil: undefined }),
})

const encode = (head: unknown, body = ''): Uint8Array =>
  new TextEncoder().encode(`${typeof head === 'string' ? head : JSON.stringify(head)}\n${body}`)

const head = { version: 1, status: 200, statusText: '', headers: [['a', 'b']], bodyBytes: 1 }

describe('a record', () => {
  test('gives back the response that was put in', () => {
    fc.assert(
      fc.property(responses, (response) => {
        expect(decodeRecord(encodeRecord(response))).toEqual(response)
      }),
    )
  })

  test.each([204, 205, 304])('of a %i has no body, whatever the handler wrote', (status) => {
    const response = { status, statusText: '', headers: [], body: Uint8Array.of(1) }
    expect(decodeRecord(encodeRecord(response)).body).toEqual(new Uint8Array())
  })

  test('is read as this package writes it', () => {
    expect(decodeRecord(encode(head, 'x')).body).toEqual(Uint8Array.of(120))
  })

  test.each([
    ['nothing', new Uint8Array()],
    ['no line break', new TextEncoder().encode(JSON.stringify(head))],
    ['no JSON', encode('{', 'x')],
    ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe, 10)],
    ['another version', encode({ ...head, version: 2 }, 'x')],
    ['no version', encode({ ...head, version: undefined }, 'x')],
    ['a list', encode([head], 'x')],
    ['null', encode('null', 'x')],
    ['a status that is no number', encode({ ...head, status: '200' }, 'x')],
    ['a negative status', encode({ ...head, status: -1 }, 'x')],
    ['a status that nobody can send', encode({ ...head, status: 99 }, 'x')],
    ['a status of four digits', encode({ ...head, status: 1000 }, 'x')],
    ['a status text of two lines', encode({ ...head, statusText: 'OK\r\nSet-Cookie: a=b' }, 'x')],
    ['no status text', encode({ ...head, statusText: null }, 'x')],
    ['headers that are no list', encode({ ...head, headers: {} }, 'x')],
    ['a header without a value', encode({ ...head, headers: [['a']] }, 'x')],
    ['a header that is no text', encode({ ...head, headers: [['a', 1]] }, 'x')],
    ['a header of two lines', encode({ ...head, headers: [['a', 'b\r\nSet-Cookie: a=b']] }, 'x')],
    ['a header that no server can send', encode({ ...head, headers: [['a', '\u0100']] }, 'x')],
    ['a header without a name', encode({ ...head, headers: [['', 'b']] }, 'x')],
    ['a name of two lines', encode({ ...head, headers: [['a: b\r\nc', 'd']] }, 'x')],
    ['a body that was cut', encode(head)],
    ['a body that goes on', encode(head, 'xy')],
    ['a body of a stream', encode({ ...head, bodyBytes: null }, 'x')],
  ])('with %s is refused, not guessed at', (_, bytes) => {
    expect(() => decodeRecord(bytes)).toThrow(CorruptRecordError)
  })
})
