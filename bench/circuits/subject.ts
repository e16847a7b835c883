import type { Measured } from '../harness/result.ts'

/** Many circuits, one for each key. */
export interface CircuitMap {
  /** A call through the circuit of `key`, which is made where there is none. */
  call(key: string): Promise<unknown>
  /** How many there are. */
  size(): number
  /** What its documentation asks for before it is dropped. */
  close?(): void
}

export interface CircuitSubject extends Pick<Measured, 'library' | 'name'> {
  /** More than it can hold in reasonable time and memory is not tried. */
  readonly most?: number
  make(count: number): CircuitMap
}

/** What one process has measured. */
export interface CircuitCosts {
  /** What the heap holds for each circuit. */
  readonly bytes: number
  /** A circuit's first call, and a later one. */
  readonly firstNs: number
  readonly laterNs: number
  /** A first call where one circuit has to go for it; `null` where nothing ever goes. */
  readonly churnNs: number | null
  /** The processor's share over a second without a call. */
  readonly idlePercent: number
  /** What the heap still holds for each once all references are gone. */
  readonly leftBytes: number
}
