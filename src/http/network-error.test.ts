import { describe, expect, test } from 'vitest'
import { isEndedHere, isRefusedHere, provablyNeverLeft } from './network-error.ts'

const url = new URL('http://127.0.0.1:8080/orders')
const coded = (code: string): Error => Object.assign(new Error(code), { code })
const fetchFailed = (cause: unknown): TypeError => new TypeError('fetch failed', { cause })

describe('provablyNeverLeft', () => {
  test.each([
    ['connection refused on Node', fetchFailed(coded('ECONNREFUSED'))],
    [
      'our own address and port refused',
      fetchFailed(Object.assign(coded('ECONNREFUSED'), { address: '127.0.0.1', port: 8080 })),
    ],
    ['no such host', fetchFailed(coded('ENOTFOUND'))],
    ['a connect timeout of undici', fetchFailed(coded('UND_ERR_CONNECT_TIMEOUT'))],
    ['connection refused on Bun', coded('ConnectionRefused')],
    ['every address refused', fetchFailed(new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]))],
  ])('%s', (_, error) => {
    expect(provablyNeverLeft(error, url)).toBe(true)
  })

  test.each([
    'ENOTFOUND',
    'EAI_AGAIN',
    'ECONNREFUSED',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'UND_ERR_CONNECT_TIMEOUT',
    'ConnectionRefused',
    'FailedToOpenSocket',
  ])('%s comes before a request can leave', (code) => {
    expect(provablyNeverLeft(coded(code), url)).toBe(true)
  })

  test.each([
    ['http://127.0.0.1/', { address: '127.0.0.1', port: 80 }],
    ['https://127.0.0.1/', { address: '127.0.0.1', port: 443 }],
    ['http://[::1]:8080/', { address: '::1', port: 8080 }],
    ['http://api.test/', { hostname: 'api.test' }],
    // A name has any address, also one that begins or ends with a digit.
    ['http://3com.test/', { address: '192.0.2.1', port: 80 }],
    ['http://server2/', { address: '192.0.2.1', port: 80 }],
  ])('a refusal at %s by %j itself', (own, peer) => {
    expect(provablyNeverLeft(Object.assign(coded('ECONNREFUSED'), peer), new URL(own))).toBe(true)
  })

  test.each([
    ['http://127.0.0.1/', { address: '127.0.0.1', port: 8080 }],
    ['https://127.0.0.1/', { address: '127.0.0.1', port: 80 }],
    ['http://[::1]:8080/', { address: '::2', port: 8080 }],
  ])('not: a refusal at %s by %j, where a redirect led', (own, peer) => {
    expect(provablyNeverLeft(Object.assign(coded('ECONNREFUSED'), peer), new URL(own))).toBe(false)
  })

  test.each([
    ['a reset: the server may have done the work', fetchFailed(coded('ECONNRESET'))],
    [
      'a reset whose own cause was a refusal',
      fetchFailed(Object.assign(coded('ECONNRESET'), { cause: coded('ECONNREFUSED') })),
    ],
    ['a socket error of undici', fetchFailed(coded('UND_ERR_SOCKET'))],
    [
      'another port refused: a redirect led there',
      fetchFailed(Object.assign(coded('ECONNREFUSED'), { address: '127.0.0.1', port: 81 })),
    ],
    [
      'another address refused',
      fetchFailed(Object.assign(coded('ECONNREFUSED'), { address: '127.0.0.2', port: 8080 })),
    ],
    [
      'another name was not found',
      fetchFailed(Object.assign(coded('ENOTFOUND'), { hostname: 'elsewhere.test' })),
    ],
    ['an answer that did not come', fetchFailed(coded('UND_ERR_HEADERS_TIMEOUT'))],
    [
      'one address refused, one reset',
      fetchFailed(new AggregateError([coded('ECONNREFUSED'), coded('ECONNRESET')])),
    ],
    ['no addresses at all', fetchFailed(new AggregateError([]))],
    ['a browser, which tells nothing', new TypeError('Failed to fetch')],
    ['a message that only sounds like it', new TypeError('ECONNREFUSED')],
    ['no error', undefined],
    ['null for an error', null],
    ['null for a cause', fetchFailed(null)],
    [
      'an error that is its own cause',
      ((error: Error) => Object.assign(error, { cause: error }))(new Error('loop')),
    ],
  ])('not: %s', (_, error) => {
    expect(provablyNeverLeft(error, url)).toBe(false)
  })
})

describe('what undici itself refuses or ends', () => {
  test('a request that msw knows no handler for was never sent', () => {
    const error = Object.assign(new Error('[MSW] Cannot bypass a request'), { name: 'InternalError' })
    expect([isRefusedHere(error), isEndedHere(error)]).toEqual([true, false])
  })

  test('a request that nock knows no answer for was never sent, whatever code it gives to that', () => {
    const name = 'NetConnectNotAllowedError'
    for (const error of [coded('ERR_NOCK_NO_MATCH'), Object.assign(coded('ENETUNREACH'), { name })])
      for (const each of [error, fetchFailed(error)])
        expect([isRefusedHere(each), isEndedHere(each)]).toEqual([true, false])
  })

  test.each(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_MOCK_ERR_MOCK_NOT_MATCHED'])(
    '%s was never sent',
    (code) => {
      for (const error of [coded(code), fetchFailed(coded(code))]) {
        expect([isRefusedHere(error), isEndedHere(error)]).toEqual([true, false])
      }
    },
  )

  test.each(['UND_ERR_CLOSED', 'UND_ERR_DESTROYED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH'])(
    '%s ended on this side',
    (code) => {
      for (const error of [coded(code), fetchFailed(coded(code))]) {
        expect([isRefusedHere(error), isEndedHere(error)]).toEqual([false, true])
      }
    },
  )

  test('a file that has changed ended on this side', () => {
    const error = new DOMException('The blob could not be read', 'NotReadableError')
    for (const each of [error, fetchFailed(error)])
      expect([isRefusedHere(each), isEndedHere(each)]).toEqual([false, true])
  })

  test.each([
    coded('UND_ERR_SOCKET'),
    fetchFailed(undefined),
    undefined,
    null,
    // What only has such a word in its name is somebody else's.
    coded('InternalErrorException'),
    coded('MyInternalError'),
    coded('NOT_UND_ERR_INVALID_ARG'),
    coded('NOT_UND_ERR_CLOSED'),
    coded('NotReadableErrors'),
    coded('MyNotReadableError'),
  ])('not: %s', (error) => {
    expect([isRefusedHere(error), isEndedHere(error)]).toEqual([false, false])
  })
})
