import type { Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'
import { relay, type BodyReader, type ReadResult } from '../http/relay.ts'

export interface BodyIdleParts {
  readonly idleMs: number
  readonly clock: Clock
  readonly onIdle: (error: TimeoutError) => void
}

/**
 * Watches a response's body: when a read waits longer than `idleMs` for the next bytes, it fails with a
 * `TimeoutError`. A slow reader is no idle body.
 */
export function watchBody(response: Response, parts: BodyIdleParts): Response {
  return relay(response, (reader) => readWithin(reader, parts))
}

function readWithin(reader: BodyReader, { idleMs, clock, onIdle }: BodyIdleParts): Promise<ReadResult> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(() => {
      const error = new TimeoutError('ERR_BODY_IDLE_TIMEOUT', `the body was silent for ${idleMs} ms`, idleMs)
      reject(error)
      onIdle(error)
      reader.cancel(error).catch(() => {})
    }, idleMs)
    const ended = (): void => timer.cancel()
    reader.read().then(resolve, reject).finally(ended)
  })
}
