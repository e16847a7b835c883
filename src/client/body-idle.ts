import type { Clock } from '../primitives/clock.ts'
import { emit } from '../core/emit.ts'
import { TimeoutError } from '../primitives/errors.ts'
import { relay, type BodyReader, type ReadResult } from '../http/relay.ts'
import type { Context } from '../core/policy.ts'
import { callOf } from './call.ts'

/**
 * Watches the body of a response: when a read waits longer than `idleMs` for the next bytes, it fails with a
 * `TimeoutError`. A slow reader is no idle body.
 */
export function watchBody(response: Response, context: Context, idleMs: number, clock: Clock): Response {
  const call = callOf(context)
  const scope = call.scopeOf(response)
  const relayed = relay(response, (reader) =>
    readWithin(reader, idleMs, clock, (error) => {
      emit(undefined, { type: 'timeout', kind: 'body-idle', timeoutMs: idleMs }, context)
      scope?.abort(error, 'timeout')
    }),
  )
  if (scope !== undefined) call.answered(relayed, scope)
  return relayed
}

function readWithin(
  reader: BodyReader,
  idleMs: number,
  clock: Clock,
  onIdle: (error: TimeoutError) => void,
): Promise<ReadResult> {
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
