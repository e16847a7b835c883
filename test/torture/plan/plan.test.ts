import { expect, test } from 'vitest'
import { TIMES } from '../settings.ts'
import { linkFault } from './link-faults.ts'
import { planStrikes, type Strike } from './plan.ts'
import { POINTS } from './points.ts'

const plan = (seed: number, shop: 'redis' | 'sqlite' = 'redis'): Strike[] =>
  planStrikes({ seed, operations: 1000, kills: 40, servers: 4, shop })

const pointsOf = (strikes: readonly Strike[], kind: 'kill' | 'freeze'): Set<unknown> =>
  new Set(strikes.flatMap(({ blow }) => (blow.kind === kind ? [blow.point] : [])))

test('the same seed is the same plan, another seed another one', () => {
  expect(plan(7)).toEqual(plan(7))
  const orderOf = (seed: number): string[] => plan(seed).map(({ blow }) => blow.kind)
  expect(orderOf(8)).not.toEqual(orderOf(7))
})

test('as many kills as were asked for, at every point and at any time', () => {
  const kills = plan(1).filter(({ blow }) => blow.kind === 'kill')
  expect(kills).toHaveLength(40)
  expect(pointsOf(kills, 'kill')).toEqual(new Set([...POINTS, undefined]))
})

test('eight kills already visit every point', () => {
  const strikes = planStrikes({ seed: 1, operations: 100, kills: 8, servers: 4, shop: 'redis' })
  expect(pointsOf(strikes, 'kill')).toEqual(new Set(POINTS))
})

test('two kills and two freezes are already such as find a store without fencing out', () => {
  const strikes = planStrikes({ seed: 1, operations: 100, kills: 2, servers: 4, shop: 'redis' })
  expect(pointsOf(strikes, 'kill')).toEqual(new Set(['after effect', 'before recording']))
  expect(pointsOf(strikes, 'freeze')).toEqual(new Set(['acquired', 'before effect']))
})

test('in a long run each point is visited as often as any other, by kills and by freezes', () => {
  const strikes = planStrikes({ seed: 1, operations: 100, kills: 200, servers: 4, shop: 'redis' })
  for (const [kind, times] of [
    ['kill', 13],
    ['freeze', 3],
  ] as const) {
    const points = strikes.flatMap(({ blow }) => (blow.kind === kind ? [blow.point] : []))
    for (const point of POINTS) {
      const visits = points.filter((each) => each === point).length
      expect([kind, point, visits >= times && visits <= times + 1]).toEqual([kind, point, true])
    }
  }
})

test('strikes spread over the run, in its order', () => {
  const due = plan(1).map(({ afterOperations }) => afterOperations)
  expect(due).toEqual(due.toSorted((a, b) => a - b))
  expect(due[0]).toBe(0)
  expect(due.at(-1)).toBeGreaterThan(900)
})

test('a freeze outlasts the lease, and whoever waits for an answer', () => {
  const freezes = plan(1).flatMap(({ blow }) => (blow.kind === 'freeze' ? [blow.ms] : []))
  expect(freezes.length).toBeGreaterThan(0)
  expect(Math.min(...freezes)).toBeGreaterThan(Math.max(TIMES.leaseMs, TIMES.attemptMs))
})

test('a store without a network is never cut off', () => {
  const wheres = (strikes: readonly Strike[]): Set<string> =>
    new Set(strikes.flatMap(({ blow }) => (blow.kind === 'partition' ? [blow.where] : [])))
  expect(wheres(plan(1, 'sqlite'))).toEqual(new Set(['clients']))
  expect(wheres(plan(1, 'redis'))).toEqual(new Set(['clients', 'store']))
})

test('faults on the way are a function of the seed, the connection and the message, and all kinds happen', () => {
  const faults = (seed: number): unknown[] =>
    Array.from({ length: 5000 }, (_, index) => linkFault(seed, 'clients', '', index % 50, index))
  expect(faults(3)).toEqual(faults(3))
  expect(faults(4)).not.toEqual(faults(3))
  const kinds = new Set(faults(3).map((fault) => Reflect.get(Object(fault), 'kind')))
  const all = [undefined, 'request dropped', 'answer dropped', 'reset', 'silence', 'delay']
  expect(kinds).toEqual(new Set(all))
})
