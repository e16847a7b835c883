import type { ServerResponse } from 'node:http'
import type { Verdict } from '../verdict.ts'
import type { HeldResponse } from '../held-response.ts'
import { ResponseCapture } from './capture.ts'

/** The verdict never comes: `release` or `discard` ends the hold. */
const undecided = (): Promise<Verdict> => new Promise(() => {})

/** Holds back what a handler sends from now on; `undefined` for a response that has begun to be sent. */
export function hold(response: ServerResponse, maxBytes: number): HeldResponse | undefined {
  if (response.headersSent || response.writableEnded) return undefined
  const capture = new ResponseCapture(response, maxBytes, undecided)
  capture.holdForTransaction()
  return {
    release: () => capture.release(),
    discard: () => capture.discard(),
  }
}
