/** What a client counts while it runs. */
export class Tally {
  /** Orders that ended with a definite confirmation. */
  readonly confirmed: Set<number> = new Set<number>()
  /** Orders that ended, one way or the other. */
  finished = 0
  requests = 0
  retries = 0
  circuitOpenings = 0
  /** Orders that were parked at least once. */
  parked = 0
  /** Orders that are parked now. */
  waiting = 0
  /** How long parked orders waited, all together. */
  parkedMs = 0
}
