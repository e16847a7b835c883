import { BoundedMap } from '../../bounded-map.ts'
import { Circuit, type CircuitParts, type CircuitState } from './circuit.ts'

/** What a user may do with a circuit. */
export interface CircuitControl {
  readonly key: string
  readonly state: CircuitState
  /** Refuses everything until `reset()`. */
  isolate(): void
  /** Closes the circuit and forgets what it has counted. */
  reset(): void
}

/** All circuits of a breaker, by key. */
export interface Circuits extends Iterable<CircuitControl> {
  readonly size: number
  /** The circuit of a key; made, closed, if there is none. */
  get(key: string): CircuitControl
}

/** Circuits by key, at most `maxCircuits`; only closed ones with nothing under way are forgotten. */
export class CircuitMap implements Circuits {
  readonly #circuits: BoundedMap<Circuit>

  constructor(maxCircuits: number, parts: CircuitParts) {
    this.#circuits = new BoundedMap(
      maxCircuits,
      (key) => new Circuit(key, parts),
      (circuit) => circuit.isIdle,
    )
  }

  get size(): number {
    return this.#circuits.size
  }

  get(key: string): Circuit {
    return this.#circuits.get(key)
  }

  [Symbol.iterator](): Iterator<Circuit> {
    return this.#circuits[Symbol.iterator]()
  }
}
