import type { Answer, HeaderLine } from './answer.ts'
import { problem } from './problem.ts'
import { decodeRecord } from './record.ts'

export interface Replay {
  readonly answer: Answer
  /** `false` where the record is of a response that can't be sent again. */
  readonly replayable: boolean
}

/**
 * What a duplicate is sent for a recorded response.
 *
 * @throws {CorruptRecordError}
 */
export function replay(recorded: Uint8Array, policyUrl: string | undefined): Replay {
  const { status, statusText, headers, body } = decodeRecord(recorded)
  if (body === undefined) {
    return { answer: problem('response-not-replayable', { policyUrl }), replayable: false }
  }
  const marks: HeaderLine[] = [
    ['cache-control', 'no-store'],
    ['idempotent-replayed', 'true'],
  ]
  // A client that knows the marker asks no more: another attempt would get the same.
  if (status >= 500) marks.push(['idempotency-status', 'stored'])
  return { answer: { status, statusText, headers: [...headers, ...marks], body }, replayable: true }
}
