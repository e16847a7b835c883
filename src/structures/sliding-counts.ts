/** How finely a window slides. */
export const BUCKETS = 10

/**
 * How often each of `width` kinds of things has happened over the last `windowMs`, in ten buckets: constant work and no
 * timer. Kinds are numbered from 0. Time is monotonic and the window only moves forward; every bucket that has passed is
 * emptied, however long nothing came.
 *
 * It holds only the buckets that were used since the window was last empty: most windows of a large map are nearly idle.
 */
export class SlidingCounts {
  readonly #bucketMs: number
  readonly #width: number
  /** The first bucket held, and the newest one, counted from time 0. */
  #origin = 0
  #head = 0
  /** The sums over the window, then a ring of buckets, `width` places each. */
  #counts: number[] | undefined

  constructor(windowMs: number, width: number) {
    this.#bucketMs = windowMs / BUCKETS
    this.#width = width
  }

  /** Counts one of `kind`. */
  record(nowMs: number, kind: number): void {
    const counts = this.#advance(nowMs) ?? this.#start(this.#bucketAt(nowMs), 1)
    const place = this.#placeOf(this.#head) + kind
    counts[kind] = (counts[kind] ?? 0) + 1
    counts[place] = (counts[place] ?? 0) + 1
  }

  /** How many of `kind` the window held when it was last told the time. */
  held(kind: number): number {
    return this.#counts?.[kind] ?? 0
  }

  /** How many of `kind` the window that ends now holds. */
  sum(nowMs: number, kind: number): number {
    return this.#advance(nowMs)?.[kind] ?? 0
  }

  /** The counts of each bucket, by kind: the newest first, up to the oldest that has counted anything. */
  buckets(nowMs: number): number[][] {
    const counts = this.#advance(nowMs)
    if (counts === undefined) return []
    const length = Math.min(BUCKETS, this.#head - this.#origin + 1)
    const held = Array.from({ length }, (_, age) => {
      const place = this.#placeOf(this.#head - age)
      return counts.slice(place, place + this.#width)
    })
    return held.slice(0, held.findLastIndex((bucket) => bucket.some((count) => count > 0)) + 1)
  }

  /** Takes over what `buckets` gave, as if counted up to `nowMs`; what was counted before is gone. */
  load(nowMs: number, buckets: readonly (readonly number[])[]): void {
    const size = Math.max(1, buckets.length)
    const counts = this.#start(this.#bucketAt(nowMs) - size + 1, size)
    for (const [age, bucket] of buckets.entries()) {
      const place = this.#placeOf(this.#head - age)
      for (let kind = 0; kind < this.#width; kind++) {
        const count = bucket[kind] ?? 0
        counts[place + kind] = count
        counts[kind] = (counts[kind] ?? 0) + count
      }
    }
  }

  #start(origin: number, size: number): number[] {
    this.#origin = origin
    this.#head = origin + size - 1
    this.#counts = zeros((1 + size) * this.#width)
    return this.#counts
  }

  #advance(nowMs: number): number[] | undefined {
    if (this.#counts === undefined) return undefined
    const bucket = this.#bucketAt(nowMs)
    const passed = bucket - this.#head
    if (passed <= 0) return this.#counts
    if (passed >= BUCKETS) return (this.#counts = undefined)
    const counts = this.#grow(this.#counts, bucket)
    for (let step = 1; step <= passed; step++) this.#empty(counts, this.#head + step)
    this.#head = bucket
    return counts
  }

  /** Exactly as long as needed: `push` would take room for more. */
  #grow(counts: number[], bucket: number): number[] {
    const size = Math.min(BUCKETS, bucket - this.#origin + 1)
    const missing = (1 + size) * this.#width - counts.length
    if (missing > 0) this.#counts = counts.concat(zeros(missing))
    return this.#counts ?? counts
  }

  #empty(counts: number[], bucket: number): void {
    const place = this.#placeOf(bucket)
    for (let kind = 0; kind < this.#width; kind++) {
      counts[kind] = (counts[kind] ?? 0) - (counts[place + kind] ?? 0)
      counts[place + kind] = 0
    }
  }

  #bucketAt(nowMs: number): number {
    return Math.floor(nowMs / this.#bucketMs)
  }

  #placeOf(bucket: number): number {
    return (1 + ((bucket - this.#origin) % BUCKETS)) * this.#width
  }
}

function zeros(length: number): number[] {
  return Array.from({ length }, () => 0)
}
