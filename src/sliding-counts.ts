/** How finely a window slides. */
export const BUCKETS = 10

/**
 * How often each of `width` kinds of things has happened over the last `windowMs`, in ten buckets: constant work and no
 * timer. Kinds are numbered from 0. Time is monotonic and the window only moves forward; every bucket that has passed is
 * emptied, however long nothing came. An empty one holds no counts: most windows of a large map are idle.
 */
export class SlidingCounts {
  readonly #bucketMs: number
  readonly #width: number
  /** The newest bucket, counted from time 0. */
  #head = 0
  /** The sums over the window, then the buckets, `width` places each. */
  #counts: number[] | undefined

  constructor(windowMs: number, width: number) {
    this.#bucketMs = windowMs / BUCKETS
    this.#width = width
  }

  /** Counts one of `kind`. */
  record(nowMs: number, kind: number): void {
    const counts = this.#advance(nowMs) ?? this.#start(nowMs)
    const place = this.#placeOf(this.#head) + kind
    counts[kind] = (counts[kind] ?? 0) + 1
    counts[place] = (counts[place] ?? 0) + 1
  }

  /** How many of `kind` the window that ends now holds. */
  sum(nowMs: number, kind: number): number {
    return this.#advance(nowMs)?.[kind] ?? 0
  }

  clear(): void {
    this.#counts = undefined
  }

  /** The counts of each bucket, by kind: the newest first, up to the oldest that has counted anything. */
  buckets(nowMs: number): number[][] {
    const counts = this.#advance(nowMs)
    if (counts === undefined) return []
    const all = Array.from({ length: BUCKETS }, (_, age) => {
      const place = this.#placeOf(this.#head - age)
      return counts.slice(place, place + this.#width)
    })
    const oldest = all.findLastIndex((bucket) => bucket.some((count) => count > 0))
    return all.slice(0, oldest + 1)
  }

  /** Takes over what `buckets` gave, as if counted up to `nowMs`; what was counted before is gone. */
  load(nowMs: number, buckets: readonly (readonly number[])[]): void {
    const counts = this.#start(nowMs)
    for (const [age, bucket] of buckets.slice(0, BUCKETS).entries()) {
      const place = this.#placeOf(this.#head - age)
      for (let kind = 0; kind < this.#width; kind++) {
        const count = bucket[kind] ?? 0
        counts[place + kind] = count
        counts[kind] = (counts[kind] ?? 0) + count
      }
    }
  }

  #start(nowMs: number): number[] {
    this.#head = this.#bucketAt(nowMs)
    this.#counts = Array.from({ length: (1 + BUCKETS) * this.#width }, () => 0)
    return this.#counts
  }

  #advance(nowMs: number): number[] | undefined {
    const counts = this.#counts
    if (counts === undefined) return undefined
    const bucket = this.#bucketAt(nowMs)
    const passed = Math.min(bucket - this.#head, BUCKETS)
    for (let step = 1; step <= passed; step++) this.#empty(counts, this.#head + step)
    this.#head = Math.max(this.#head, bucket)
    return counts
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

  /** Where a bucket's counts stand; a clock may begin below zero. */
  #placeOf(bucket: number): number {
    return (1 + (((bucket % BUCKETS) + BUCKETS) % BUCKETS)) * this.#width
  }
}
