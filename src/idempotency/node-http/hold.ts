import type { ServerResponse } from 'node:http'
import type { Verdict } from '../verdict.ts'
import type { HeldResponse } from '../held-response.ts'
import { ResponseCapture } from './capture.ts'

/** Somebody else decides. */
const undecided = (): Promise<Verdict> => new Promise(() => {})

/** Keeps back what a handler sends from now on; of a response that has begun to leave there is nothing to keep. */
export function hold(response: ServerResponse, maxBytes: number): HeldResponse | undefined {
  if (response.headersSent || response.writableEnded) return undefined
  const capture = new ResponseCapture(response, maxBytes, undecided)
  capture.feignEnd()
  return {
    release: () => capture.release(),
    discard: () => capture.discard(),
  }
}
