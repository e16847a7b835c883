import type { Clock } from '../clock.ts'
import { TimeoutError } from '../errors.ts'

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
  // No response can be constructed with a status outside of these: it is left as it is.
  if (response.body === null || response.status < 200 || response.status > 599) return response
  const watched = new Response(watchedStream(response.body, parts), response)
  // A constructed response has none of these, and no way to be given them.
  for (const name of ['url', 'redirected', 'type'] as const) {
    Object.defineProperty(watched, name, { value: response[name], configurable: true })
  }
  return watched
}

function watchedStream(body: ReadableStream<Uint8Array>, parts: BodyIdleParts): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await readWithin(reader, parts)
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    // Nothing is read ahead, so the time that the consumer takes is never counted.
    { highWaterMark: 0 },
  )
}

function readWithin(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { idleMs, clock, onIdle }: BodyIdleParts,
): Promise<ReadableStreamReadResult<Uint8Array>> {
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
