import { checkCount, checkInteger, type Rules } from '../../primitives/validate.ts'

export interface BulkheadSettings {
  /** How many executions of a key may run at once. Default 10. */
  maxConcurrent?: number | undefined
  /** How many more may wait for a place, in the order in which they came; 0: none. Default 100. */
  maxQueued?: number | undefined
}

export const BULKHEAD_RULES: Rules<BulkheadSettings> = {
  maxConcurrent: checkCount,
  maxQueued: checkInteger,
}
