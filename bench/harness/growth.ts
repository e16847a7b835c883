import { slope } from './arithmetic.ts'
import type { Growth } from './result.ts'

/** Between collections the heap wavers by so much, as code is compiled and dropped. */
const WAVERING_BYTES = 250_000

/** What must not be more at the end than at the beginning. */
const COUNTED = ['resources', 'listeners', 'circuits'] as const

/**
 * Judges a series of checkpoints. The heap is flat while the line through its sizes rises by less than one byte a call
 * (the smallest object takes 16), or by less than it wavers where the calls are few; what is counted is flat while it ends no higher than it began.
 */
export function growth(series: Pick<Growth, 'title' | 'note' | 'checkpoints'>): Growth {
  const { checkpoints } = series
  const [first, last] = [checkpoints[0], checkpoints.at(-1)]
  if (first === undefined || last === undefined) throw new RangeError('no checkpoints to judge')
  const bytesPerCall = slope(checkpoints.map(({ calls, heapBytes }) => [calls, heapBytes]))
  const limitBytesPerCall = Math.max(1, WAVERING_BYTES / (last.calls - first.calls))
  const grows = COUNTED.filter((name) => last[name] > first[name]).map(
    (name) => `${name} grow from ${first[name]} to ${last[name]}`,
  )
  if (bytesPerCall > limitBytesPerCall)
    grows.unshift(`the heap grows by ${bytesPerCall.toFixed(1)} bytes a call`)
  return { kind: 'growth', ...series, bytesPerCall, limitBytesPerCall, grows }
}
