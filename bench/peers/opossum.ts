import CircuitBreaker from 'opossum'
import { refused, subjectsOf, type Exchange, type Peer, type Ready } from '../harness/subject.ts'
import {
  FAILURE_RATE,
  FOREVER_MS,
  MINIMUM_CALLS,
  OPEN_MS,
  throwing,
  TIMEOUT_MS,
  WINDOW_MS,
} from './settings.ts'

const OPTIONS: CircuitBreaker.Options = {
  timeout: TIMEOUT_MS,
  errorThresholdPercentage: FAILURE_RATE * 100,
  volumeThreshold: MINIMUM_CALLS,
  rollingCountTimeout: WINDOW_MS,
  rollingCountBuckets: 10,
  resetTimeout: OPEN_MS,
}

const subject = subjectsOf<Ready>('opossum')
const client = subjectsOf<Exchange>('opossum')

export const opossum: Peer = {
  policies: [
    subject('breaker + timeout', ['breaker', 'timeout'], (ready) => {
      const breaker = new CircuitBreaker(ready, OPTIONS)
      return { run: () => breaker.fire(), close: () => breaker.shutdown() }
    }),
    subject('breaker', ['breaker'], (ready) => {
      const breaker = new CircuitBreaker(ready, { ...OPTIONS, timeout: false })
      return { run: () => breaker.fire(), close: () => breaker.shutdown() }
    }),
  ],
  refusals: [
    subject('open breaker', ['refuses'], (ready) => {
      const breaker = new CircuitBreaker(ready, { ...OPTIONS, resetTimeout: FOREVER_MS })
      breaker.open()
      return { run: refused(() => breaker.fire()), close: () => breaker.shutdown() }
    }),
  ],
  clients: [
    client('breaker + timeout', ['breaker', 'timeout'], ({ transport, url, init }) => {
      const send = (): Promise<Response> => throwing(transport(url, init))
      const breaker = new CircuitBreaker(send, OPTIONS)
      return { run: () => breaker.fire(), close: () => breaker.shutdown() }
    }),
  ],
}
