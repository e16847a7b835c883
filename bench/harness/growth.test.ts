import { expect, test } from 'vitest'
import { growth } from './growth.ts'
import type { Checkpoint } from './result.ts'

const MIB = 2 ** 20

function series(change: (part: number) => Partial<Checkpoint>, calls = 1_000_000): Checkpoint[] {
  return Array.from({ length: 11 }, (_, part) => ({
    calls: (calls * part) / 10,
    heapBytes: 8 * MIB,
    resources: 1,
    listeners: 0,
    circuits: 1,
    ...change(part),
  }))
}

const judge = (checkpoints: Checkpoint[]): ReturnType<typeof growth> =>
  growth({ title: 'calls', note: '', checkpoints })

test('a heap that wavers is flat', () => {
  const { grows, bytesPerCall } = judge(series((part) => ({ heapBytes: 8 * MIB + (part % 2) * 100_000 })))
  expect(grows).toEqual([])
  expect(Math.abs(bytesPerCall)).toBeLessThan(0.1)
})

test('the smallest object kept by each call grows', () => {
  const { grows, bytesPerCall } = judge(series((part) => ({ heapBytes: 8 * MIB + part * 16 * 100_000 })))
  expect(bytesPerCall).toBeCloseTo(16)
  expect(grows).toEqual(['the heap grows by 16.0 bytes a call'])
})

test('few calls prove less: the same wavering is more bytes a call', () => {
  const { limitBytesPerCall } = judge(series(() => ({}), 50_000))
  expect(limitBytesPerCall).toBe(5)
})

test.each(['resources', 'listeners', 'circuits'] as const)('%s that are more at the end grow', (name) => {
  const { grows } = judge(series((part) => ({ [name]: 1 + part })))
  expect(grows).toEqual([`${name} grow from 1 to 11`])
})

test('what is gone again at the end has not grown', () => {
  expect(judge(series((part) => ({ listeners: part === 5 ? 1 : 0 }))).grows).toEqual([])
})
