import { createStamp } from '../primitives/stamp.ts'

/** What it took to get a response or an error. */
export interface FetchOutcome {
  /** Attempts that were handed to the transport. */
  readonly attempts: number
  readonly source: 'network' | 'cache' | 'fallback'
  /**
   * Of a write: bytes may have left and no definite answer came. Send the same operation again, with
   * `idempotencyKey`.
   */
  readonly uncertain: boolean
  readonly idempotencyKey: string | undefined
  /** The key of the circuit that guarded the call. */
  readonly circuit: string
  /** What was waited before each attempt after the first. */
  readonly delaysMs: readonly number[]
}

const outcomes = createStamp<FetchOutcome>()

/**
 * What it took to get `responseOrError` out of a Holdfast fetch; `undefined` for anything else, a caller's own abort
 * reason among it: what was aborted is told of its `Request`, where the caller gave one.
 */
export function outcomeOf(responseOrError: unknown): FetchOutcome | undefined {
  return outcomes.get(responseOrError)
}

export function setOutcome(responseOrError: unknown, outcome: FetchOutcome): void {
  if (typeof responseOrError === 'object' && responseOrError !== null) outcomes.set(responseOrError, outcome)
}
