const FIRST_SAMPLES = 16

/**
 * Exact quantiles of the newest samples. They are kept twice, in order of arrival and in order of size: a new one
 * costs two binary searches and two moves of a kilobyte at most, for 256 samples, a quantile nothing. A sort at each reading would cost more,
 * since every attempt reads; an estimate (P², a histogram) saves little at this size and forgets less well.
 *
 * Samples are kept as 32-bit floats: exact to seven digits, which is plenty for durations.
 */
export class SlidingQuantile {
  /** A ring, once it is full. */
  #arrived = new Float32Array(FIRST_SAMPLES)
  #sorted = new Float32Array(FIRST_SAMPLES)
  readonly #capacity: number
  #count = 0
  #next = 0

  /** @param capacity How many samples are kept: 16, or a power of two above that. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** How many samples there are, at most `capacity`. */
  get count(): number {
    return this.#count
  }

  add(value: number): void {
    if (this.#count === this.#capacity) this.#remove(this.#arrived[this.#next] ?? 0)
    else if (this.#count === this.#sorted.length) this.#grow()
    const sample = Math.fround(value)
    this.#arrived[this.#next] = sample
    this.#next = (this.#next + 1) % this.#capacity
    const place = this.#placeOf(sample)
    this.#sorted.copyWithin(place + 1, place, this.#count)
    this.#sorted[place] = sample
    this.#count++
  }

  /** The smallest sample that at least `share` of all (0 to 1, exclusive of 0) do not exceed; `undefined` without any. */
  quantile(share: number): number | undefined {
    return this.#sorted[Math.ceil(share * this.#count) - 1]
  }

  #remove(sample: number): void {
    const place = this.#placeOf(sample)
    this.#sorted.copyWithin(place, place + 1, this.#count)
    this.#count--
  }

  /** The ring has not come round before it is as large as it gets, so both are copied as they are. */
  #grow(): void {
    this.#arrived = enlarged(this.#arrived)
    this.#sorted = enlarged(this.#sorted)
  }

  /** Where the first sample of at least this size stands. */
  #placeOf(sample: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle] ?? 0) < sample) low = middle + 1
      else high = middle
    }
    return low
  }
}

function enlarged(samples: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const larger = new Float32Array(samples.length * 2)
  larger.set(samples)
  return larger
}
