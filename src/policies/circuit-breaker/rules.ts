/** Which attempts count as slow, and from which share of them on the circuit opens. */
export interface SlowCall {
  /** An attempt that takes longer is slow, whatever its outcome. */
  durationMs: number
  /** The share of slow attempts in the window that opens the circuit, in (0, 1]. */
  rate: number
}

export interface CircuitSettings {
  /** The window over which attempts are counted. */
  readonly windowMs: number
  /** The share of failures that opens the circuit. */
  readonly failureRate: number
  /** Fewer attempts in the window do not open it by a share. */
  readonly minimumCalls: number
  /** As many failures in a row, within the window, open it however few attempts there were. */
  readonly consecutive: number | false
  readonly slowCall: Readonly<SlowCall> | false
  /** How long it stays open the first time; doubles with each failed recovery. */
  readonly openMs: number
  readonly maxOpenMs: number
  /** How many test requests decide whether it closes. */
  readonly halfOpenProbes: number
  /** How long a test request may take before it counts as failed. */
  readonly leaseMs: number
}

/**
 * The share that is reached, if any: of failures, or of slow attempts (resilience4j's `failureRateThreshold` and
 * `slowCallRateThreshold`; there, too, either is enough and reaching it counts).
 */
export function exceededShare(
  { failureRate, slowCall }: CircuitSettings,
  failures: number,
  slow: number,
  total: number,
): 'failure-rate' | 'slow-calls' | undefined {
  if (failures / total >= failureRate) return 'failure-rate'
  if (slowCall !== false && slow / total >= slowCall.rate) return 'slow-calls'
  return undefined
}
