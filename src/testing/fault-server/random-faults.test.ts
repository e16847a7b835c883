import { expect, test } from 'vitest'
import { randomFaults, reset, status, type FaultSource, type ReceivedRequest } from '../index.ts'

const request = (identity: string, attempt = 1): ReceivedRequest => ({
  index: 0,
  atMs: 0,
  method: 'POST',
  path: '/',
  headers: {},
  identity,
  attempt,
  body: undefined,
  fault: 'none',
  handled: false,
  handlerStatus: undefined,
  status: undefined,
  outcome: 'pending',
})

const kinds = (faults: FaultSource, count: number): (string | undefined)[] =>
  Array.from({ length: count }, () => faults(request('a'))?.kind)

test('the same seed fails in the same way', () => {
  const mix = [
    [0.3, status(503)],
    [0.2, reset()],
  ] as const
  expect(kinds(randomFaults({ seed: 7, mix }), 200)).toEqual(kinds(randomFaults({ seed: 7, mix }), 200))
  expect(kinds(randomFaults({ seed: 8, mix }), 200)).not.toEqual(kinds(randomFaults({ seed: 7, mix }), 200))
})

test('each fault gets its share', () => {
  const drawn = kinds(
    randomFaults({
      seed: 7,
      mix: [
        [0.3, status(503)],
        [0.2, reset()],
      ],
    }),
    10_000,
  )
  const share = (kind: string | undefined): number =>
    drawn.filter((each) => each === kind).length / drawn.length
  expect(share('status')).toBeCloseTo(0.3, 1)
  expect(share('reset')).toBeCloseTo(0.2, 1)
  expect(share(undefined)).toBeCloseTo(0.5, 1)
})

test('by identity, the order of arrival changes nothing', () => {
  const faults = randomFaults({ by: 'identity', mix: [[0.5, status(503)]] })
  const names = Array.from({ length: 50 }, (_, order) => `order ${order}`)
  const forth = names.map((name) => faults(request(name))?.kind)
  const back = names.toReversed().map((name) => faults(request(name))?.kind)
  expect(back.toReversed()).toEqual(forth)
  expect(names.map((name) => faults(request(name, 2))?.kind)).not.toEqual(forth)
})

test('chance can be injected', () => {
  const numbers = [0.05, 0.15, 0.95]
  const faults = randomFaults({
    random: () => numbers.shift() ?? 0,
    mix: [
      [0.1, status(503)],
      [0.1, reset()],
    ],
  })
  expect(kinds(faults, 3)).toEqual(['status', 'reset', undefined])
})
