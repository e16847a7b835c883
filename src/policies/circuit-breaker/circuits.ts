import { BoundedMap } from '../../structures/bounded-map.ts'
import { Circuit, type CircuitParts } from './circuit.ts'
import type { CircuitSnapshot, CircuitState } from './snapshot.ts'

/** What a user may do with a circuit. */
export interface CircuitControl {
  readonly key: string
  readonly state: CircuitState
  /** Refuses everything until `reset()`. */
  isolate(): void
  /** Closes the circuit and forgets what it has counted. */
  reset(): void
  /** The circuit as plain JSON, to go on from elsewhere or later. */
  snapshot(): CircuitSnapshot
  /**
   * Goes on from a snapshot. A half-open circuit becomes an open one whose time is over, since its test requests belong
   * to somebody else; an isolated circuit stays isolated until `reset()`.
   *
   * @param ageMs the time since the snapshot that counts. Default 0: no time has passed. Below 0 is 0, since it may come
   * of a wall clock.
   * @throws {HoldfastError} ERR_INVALID_OPTION when `snapshot()` has not made it
   */
  restore(snapshot: CircuitSnapshot, ageMs?: number): void
}

/** All circuits of a breaker, by key. */
export interface Circuits extends Iterable<CircuitControl> {
  readonly size: number
  /**
   * The circuit of a key; made, closed, if there is none. A fetch without a `circuitBreaker.key` keeps one for each
   * origin: there any URL stands for its origin, unless a circuit has that very key.
   */
  get(key: string): CircuitControl
}

/** The key that is meant by a name which is none yet, where that is another one. */
export type KeyOf = (name: string) => string | undefined

/** Circuits by key, at most `maxCircuits`; only closed ones with nothing under way are forgotten. */
export class CircuitMap implements Circuits {
  /** By the very key. */
  readonly byKey: BoundedMap<Circuit>
  readonly #keyOf: KeyOf | undefined

  constructor(maxCircuits: number, parts: CircuitParts, keyOf?: KeyOf) {
    this.#keyOf = keyOf
    this.byKey = new BoundedMap(
      maxCircuits,
      (key) => new Circuit(key, parts),
      (circuit) => circuit.isIdle,
    )
  }

  get size(): number {
    return this.byKey.size
  }

  get(key: string): Circuit {
    return this.byKey.get((this.byKey.has(key) ? undefined : this.#keyOf?.(key)) ?? key)
  }

  [Symbol.iterator](): Iterator<Circuit> {
    return this.byKey[Symbol.iterator]()
  }
}
