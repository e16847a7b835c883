import {
  checkFraction,
  checkInteger,
  checkNumber,
  invalidOption,
  type Rules,
} from '../../primitives/validate.ts'

export interface HedgeSettings {
  /** A second attempt is sent once the first takes longer than this share of the newest 256. Default 0.95. */
  percentile?: number | undefined
  /** While fewer latencies are known, the delay is `delayMs`. At most 256. Default 20. */
  minimumSamples?: number | undefined
  /** Default 1000. */
  delayMs?: number | undefined
  /** The largest share of executions that is hedged. Default 0.05. */
  maxExtra?: number | undefined
}

/** How many latencies are kept: enough for a dozen above the 95th percentile, and 2 KB a key. */
export const WINDOW_SAMPLES = 256

function checkSamples(name: string, value: unknown): void {
  checkInteger(name, value, 1)
  if (Number(value) > WINDOW_SAMPLES) throw invalidOption(name, `at most ${WINDOW_SAMPLES}`, value)
}

export const HEDGE_RULES: Rules<HedgeSettings> = {
  percentile: checkFraction,
  minimumSamples: checkSamples,
  delayMs: checkNumber,
  maxExtra: checkFraction,
}
