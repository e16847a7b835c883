import { expect, test, vi } from 'vitest'
import { sampleOf, WARM_CALLS } from './measure.ts'

test('what takes long is measured after as many calls as what does not', async () => {
  vi.stubGlobal('gc', () => {})
  let made = 0
  const run = vi.fn<() => Promise<void>>(async () => void made++)
  const madeBefore: number[] = []
  const now = performance.now.bind(performance)
  // Each reading takes a second: the first batch seems to be long enough.
  vi.spyOn(performance, 'now').mockImplementation(() => {
    madeBefore.push(made)
    return now() + madeBefore.length * 1000
  })
  await sampleOf(run, { sampleMs: 1, warmMs: 1 })
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
  // Five slices are timed last, each read twice.
  expect(madeBefore.at(-10)).toBeGreaterThanOrEqual(WARM_CALLS)
})
