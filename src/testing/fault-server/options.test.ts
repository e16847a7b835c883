import { expect, test } from 'vitest'
import {
  between,
  endless,
  faultServer,
  latency,
  outage,
  randomFaults,
  status,
  times,
  truncate,
  type FaultServerOptions,
} from '../index.ts'

/** As a caller without types would. */
const untyped = (options: unknown): FaultServerOptions => options as FaultServerOptions

test.each<[string, unknown, string]>([
  ['a misspelt option', { fautls: [] }, 'faultServer has no option "fautls"'],
  [
    'two targets',
    { handler: () => new Response(), upstream: 'http://a' },
    'one of handler, listener, upstream',
  ],
  ['a handler that is none', { handler: 5 }, 'handler should be a function, got 5'],
  [
    'an upstream that is no origin',
    { upstream: 'localhost:80' },
    'upstream should be an http: origin, got "localhost:80"',
  ],
  ['an upstream with TLS', { upstream: 'https://a' }, 'upstream should be an http: origin, got "https://a"'],
  ['a fault that is none', { faults: [503] }, 'got 503'],
  ['an outage among the faults', { faults: [outage()] }, 'faults should be made of ok(), status()'],
  ['a timeline that is none', { timeline: {} }, 'timeline should be an array'],
  ['a negative port', { port: -1 }, 'port should be an integer >= 0, got -1'],
  ['half a request', { keepRequests: 0.5 }, 'keepRequests should be an integer >= 0, got 0.5'],
  ['a yes', { recordBodies: 'yes' }, 'recordBodies should be one of true, false, got "yes"'],
  [
    'outages that overlap',
    { timeline: [between(0, 10, outage()), between(5, 15, outage())] },
    'without overlapping outages (one ends at 10 ms), got 5',
  ],
])('%s is refused with the value it got', async (_, options, message) => {
  await expect(faultServer(untyped(options))).rejects.toThrow(message)
  await expect(faultServer(untyped(options))).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' })
})

test.each<[string, () => unknown, string]>([
  ['a status beyond 599', () => status(600), 'status should be an integer in [200, 599], got 600'],
  ['an informational status', () => status(100), 'status should be an integer >= 200, got 100'],
  [
    'a negative Retry-After',
    () => status(503, { retryAfter: -1 }),
    'retryAfter should be a number >= 0, got -1',
  ],
  [
    'a header among the options',
    () => status(503, { 'Retry-After': '1' } as never),
    'status has no option "Retry-After"; it has body, headers, retryAfter',
  ],
  ['a misspelt length', () => truncate({ bytes: 3 } as never), 'truncate has no option "bytes"'],
  ['a misspelt interval', () => endless({ everyMs: 5 } as never), 'endless has no option "everyMs"'],
  ['a latency that is no number', () => latency(Number.NaN), 'delayMs should be a number >= 0, got NaN'],
  ['half a byte', () => truncate({ afterBytes: 0.5 }), 'afterBytes should be an integer >= 0, got 0.5'],
  ['an interval before now', () => endless({ intervalMs: -5 }), 'intervalMs should be a number >= 0, got -5'],
  ['half a time', () => times(1.5, status(503)), 'count should be an integer >= 0, got 1.5'],
  [
    'a window that ends before it starts',
    () => between(10, 5, status(503)),
    'toMs should be a number > 10, got 5',
  ],
  [
    'probabilities beyond 1',
    () =>
      randomFaults({
        mix: [
          [0.9, status(503)],
          [0.2, status(500)],
        ],
      }),
    'at most 1, got 1.1',
  ],
])('%s is refused with the value it got', (_, make, message) => {
  expect(make).toThrow(message)
})
