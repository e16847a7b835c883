import {
  ConsecutiveBreaker,
  CountBreaker,
  circuitBreaker as cockatiel,
  handleAll,
  SamplingBreaker,
} from 'cockatiel'
import { Circuit, SlidingCountBreaker } from 'mollitia'
import CircuitBreaker from 'opossum'
import { circuitBreaker, pipeline } from '../../src/index.ts'
import { FAILURE_RATE, MINIMUM_CALLS, OPEN_MS, WINDOW_MS } from '../peers/settings.ts'
import type { CircuitMap, CircuitSubject } from './subject.ts'

const ready = async (): Promise<string> => 'ready'
const MANY = 100_000

/** What every library without a map of its own is used with. */
function inMap<Made>(
  make: () => Made,
  call: (made: Made) => Promise<unknown>,
  close?: (made: Made) => void,
): CircuitMap {
  const map = new Map<string, Made>()
  return {
    async call(key) {
      let made = map.get(key)
      if (made === undefined) map.set(key, (made = make()))
      return call(made)
    },
    size: () => map.size,
    close() {
      if (close !== undefined) for (const made of map.values()) close(made)
    },
  }
}

const cockatiels = (
  name: string,
  breaker: () => ConsecutiveBreaker | CountBreaker | SamplingBreaker,
): CircuitSubject => ({
  library: 'cockatiel',
  name,
  most: MANY,
  make: () =>
    inMap(
      () => cockatiel(handleAll, { halfOpenAfter: OPEN_MS, breaker: breaker() }),
      (made) => made.execute(ready),
    ),
})

const opossums = (name: string, close?: (made: CircuitBreaker) => void): CircuitSubject => ({
  library: 'opossum',
  name,
  most: MANY,
  make: () =>
    inMap(
      () =>
        new CircuitBreaker(ready, {
          timeout: false,
          rollingCountTimeout: WINDOW_MS,
          resetTimeout: OPEN_MS,
        }),
      (made) => made.fire(),
      close,
    ),
})

export const circuitSubjects: readonly CircuitSubject[] = [
  {
    library: 'none',
    name: 'a counter in a Map',
    make: () =>
      inMap(
        () => ({ calls: 0 }),
        async (made) => (made.calls += 1),
      ),
  },
  {
    library: 'holdfast',
    name: 'circuitBreaker()',
    make(count) {
      const breaker = circuitBreaker({ maxCircuits: count })
      const policies = pipeline(breaker)
      return { call: (key) => policies.execute(ready, { key }), size: () => breaker.circuits.size }
    },
  },
  cockatiels('consecutive breaker', () => new ConsecutiveBreaker(5)),
  cockatiels('count breaker', () => new CountBreaker({ threshold: FAILURE_RATE, size: MINIMUM_CALLS })),
  cockatiels('sampling breaker', () => new SamplingBreaker({ threshold: FAILURE_RATE, duration: WINDOW_MS })),
  opossums('breaker'),
  opossums('breaker, each shut down in the end', (made) => made.shutdown()),
  {
    library: 'mollitia',
    name: 'count breaker',
    most: MANY,
    make: () =>
      inMap(
        () =>
          new Circuit({
            func: ready,
            options: {
              modules: [
                new SlidingCountBreaker({
                  minimumNumberOfCalls: MINIMUM_CALLS,
                  failureRateThreshold: FAILURE_RATE * 100,
                  openStateDelay: OPEN_MS,
                }),
              ],
            },
          }),
        (made) => made.execute(),
        (made) => made.dispose(),
      ),
  },
]
