import type { Clock } from './clock.ts'

/** A store did not answer in time. */
export class StoreTimeoutError extends Error {
  override readonly name = 'StoreTimeoutError'

  constructor(timeoutMs: number) {
    super(`the store did not answer within ${Math.round(timeoutMs)} ms`)
  }
}

/** Settles as `working` does, but within `timeoutMs`, else rejects with what `late` makes; a later result is dropped. */
export function within<T>(
  clock: Clock,
  timeoutMs: number,
  working: Promise<T>,
  late: () => Error = () => new StoreTimeoutError(timeoutMs),
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.schedule(() => reject(late()), timeoutMs)
    working.then(
      (value) => {
        timer.cancel()
        return resolve(value)
      },
      (error: unknown) => {
        timer.cancel()
        // oxlint-disable-next-line promise/prefer-promise-reject-errors -- passed on as it came
        reject(error)
      },
    )
  })
}
