import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SlidingCounts } from './sliding-counts.ts'

const WINDOW_MS = 1000
const WIDTH = 3

const records = fc.record({
  startMs: fc.integer({ min: -100_000, max: 100_000 }),
  steps: fc.array(
    fc.record({
      waitMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 }), fc.integer({ min: 0, max: 5000 })),
      kind: fc.nat(WIDTH - 1),
      /** Whether the counts then move to another object. */
      moves: fc.boolean(),
    }),
    { maxLength: 100 },
  ),
})

describe('SlidingCounts', () => {
  test('agrees with a list of all records that is searched each time', () => {
    const bucketAt = (ms: number): number => Math.floor(ms / (WINDOW_MS / 10))
    fc.assert(
      fc.property(records, ({ startMs, steps }) => {
        let counts = new SlidingCounts(WINDOW_MS, WIDTH)
        const all: { bucket: number; kind: number }[] = []
        let nowMs = startMs
        for (const { waitMs, kind, moves } of steps) {
          nowMs += waitMs
          counts.record(nowMs, kind)
          all.push({ bucket: bucketAt(nowMs), kind })
          const recent = all.filter(({ bucket }) => bucketAt(nowMs) - bucket < 10)
          for (let each = 0; each < WIDTH; each++) {
            expect(counts.sum(nowMs, each)).toBe(recent.filter((record) => record.kind === each).length)
          }
          if (!moves) continue
          const buckets = counts.buckets(nowMs)
          counts = new SlidingCounts(WINDOW_MS, WIDTH)
          counts.load(nowMs, buckets)
          expect(counts.buckets(nowMs)).toEqual(buckets)
        }
      }),
    )
  })

  test('is empty at first and after an idle hour', () => {
    const counts = new SlidingCounts(WINDOW_MS, 1)
    expect([counts.sum(0, 0), counts.held(0)]).toEqual([0, 0])
    counts.record(0, 0)
    expect(counts.sum(3_600_000, 0)).toBe(0)
    counts.record(3_600_000, 0)
    expect(counts.sum(3_600_000, 0)).toBe(1)
  })

  test('an idle time of any length costs no more than a short one', () => {
    const counts = new SlidingCounts(WINDOW_MS, 1)
    counts.record(0, 0)
    // Emptied bucket by bucket this would not end.
    expect(counts.sum(Number.MAX_SAFE_INTEGER, 0)).toBe(0)
  })

  test('loses its counts bucket by bucket', () => {
    const counts = new SlidingCounts(WINDOW_MS, 1)
    for (let ms = 0; ms < WINDOW_MS; ms += 100) counts.record(ms, 0)
    const left = [999, 1000, 1100, 1899, 1900].map((ms) => counts.sum(ms, 0))
    expect(left).toEqual([10, 9, 8, 1, 0])
  })

  test('tells its buckets, the newest first, without empty ones at the end', () => {
    const counts = new SlidingCounts(WINDOW_MS, 2)
    expect(counts.buckets(0)).toEqual([])
    counts.record(0, 0)
    counts.record(200, 1)
    counts.record(200, 1)
    expect(counts.buckets(200)).toEqual([
      [0, 2],
      [0, 0],
      [1, 0],
    ])
    expect(counts.buckets(1000)).toEqual([...Array.from({ length: 8 }, () => [0, 0]), [0, 2]])
    expect(counts.buckets(1200)).toEqual([])
  })

  test('what is loaded replaces what was counted, and ages', () => {
    const counts = new SlidingCounts(WINDOW_MS, 1)
    counts.record(0, 0)
    counts.load(5000, [[2], [0], [3]])
    expect(counts.sum(5000, 0)).toBe(5)
    expect([5799, 5800, 5999, 6000].map((ms) => counts.sum(ms, 0))).toEqual([5, 2, 2, 0])
    counts.load(6000, [])
    expect(counts.sum(6000, 0)).toBe(0)
  })

  test('a time that goes backwards counts as the newest one seen', () => {
    const counts = new SlidingCounts(WINDOW_MS, 1)
    counts.record(5000, 0)
    counts.record(4000, 0)
    expect(counts.sum(5000, 0)).toBe(2)
    expect(counts.sum(5999, 0)).toBe(2)
    expect(counts.sum(6000, 0)).toBe(0)
  })
})
