/** How finely the window slides. */
const BUCKETS = 10

/**
 * Counts of successes and failures over the last `windowMs`, in ten buckets: constant work a record, no timer. Time
 * is monotonic and the head only moves forward; every bucket that has passed is emptied, however long nothing came.
 */
export class SlidingWindow {
  readonly #bucketMs: number
  /** Successes at even places, failures at odd ones. Made with the first record: most circuits of a large map idle. */
  #counts: number[] | undefined
  #head = 0
  successes = 0
  failures = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
  }

  get total(): number {
    return this.successes + this.failures
  }

  record(nowMs: number, failed: boolean): void {
    this.advance(nowMs)
    this.#counts ??= Array.from({ length: 2 * BUCKETS }, () => 0)
    const place = 2 * (this.#head % BUCKETS) + (failed ? 1 : 0)
    this.#counts[place] = (this.#counts[place] ?? 0) + 1
    if (failed) this.failures++
    else this.successes++
  }

  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs)
    const passed = Math.min(bucket - this.#head, BUCKETS)
    for (let step = 1; step <= passed; step++) this.#empty((this.#head + step) % BUCKETS)
    this.#head = Math.max(this.#head, bucket)
  }

  clear(): void {
    this.#counts = undefined
    this.successes = 0
    this.failures = 0
  }

  #empty(bucket: number): void {
    if (this.#counts === undefined) return
    this.successes -= this.#counts[2 * bucket] ?? 0
    this.failures -= this.#counts[2 * bucket + 1] ?? 0
    this.#counts[2 * bucket] = 0
    this.#counts[2 * bucket + 1] = 0
  }
}
