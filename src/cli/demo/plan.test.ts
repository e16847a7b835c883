import { expect, test } from 'vitest'
import { ARRIVAL_MS, faultFor, faultPlan, OUTAGE_MS, weatherAt } from './plan.ts'

const ORDERS = Array.from({ length: 1200 }, (_, order) => order)
const kinds = (seed: number, attempt: number): (string | undefined)[] =>
  ORDERS.map((order) => faultFor(seed, order, attempt)?.kind)
const count = (list: readonly unknown[], wanted: unknown): number =>
  list.filter((each) => each === wanted).length

test('the same seed gives the same plan, another one another', () => {
  const plan = (seed: number): unknown[] =>
    ORDERS.flatMap((order) => [1, 2, 3].map((attempt) => faultFor(seed, order, attempt)))
  expect(plan(7)).toEqual(plan(7))
  expect(plan(7)).not.toEqual(plan(8))
})

test('in each dozen of orders one loses the answer to its first request, at least', () => {
  for (const seed of [1, 2, 3]) {
    const first = kinds(seed, 1)
    for (let start = 0; start < first.length; start += 12) {
      expect(count(first.slice(start, start + 12), 'reset-after')).toBeGreaterThan(0)
    }
  }
})

test('which one it is differs from dozen to dozen and from seed to seed', () => {
  const places = (seed: number): number[] => {
    const first = kinds(seed, 1)
    return Array.from({ length: 50 }, (_, dozen) => first.indexOf('reset-after', dozen * 12) - dozen * 12)
  }
  expect(new Set(places(1)).size).toBeGreaterThan(8)
  expect(places(1)).not.toEqual(places(2))
})

test('later attempts meet faults too, by the seed, but mostly none', () => {
  const second = kinds(1, 2)
  expect(second).not.toEqual(kinds(2, 2))
  for (const kind of ['reset-after', 'reset', 'status', 'latency'])
    expect(count(second, kind)).toBeGreaterThan(0)
  expect(count(second, undefined)).toBeGreaterThan(second.length * 0.7)
})

test('the windows lie within the time of arrival, and leave room to recover', () => {
  const { timeline } = faultPlan(1)
  for (const { fromMs, toMs } of timeline) {
    expect(fromMs).toBeGreaterThan(0)
    expect(toMs).toBeLessThan(ARRIVAL_MS)
  }
  expect(OUTAGE_MS).toBeGreaterThanOrEqual(5000)
})

test('the weather has a name while a window lasts', () => {
  for (const { fromMs, toMs } of faultPlan(1).timeline) {
    expect(weatherAt(fromMs)).toMatch(/burst|outage/)
    expect(weatherAt(toMs - 1)).toBe(weatherAt(fromMs))
  }
  expect(weatherAt(0)).toBeUndefined()
})
