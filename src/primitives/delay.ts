import type { Clock } from './clock.ts'
import type { AbortListener, Scope } from './signal.ts'

/** Sleeps `delayMs`, or rejects with the scope's reason as soon as that is aborted. Keeps a Node process alive. */
export function delay(clock: Clock, delayMs: number, scope: Scope): Promise<void> {
  return new Promise((resolve, reject) => {
    if (scope.aborted) {
      reject(scope.reason)
      return
    }
    const listener: AbortListener = {
      onAbort() {
        timer.cancel()
        reject(scope.reason)
      },
    }
    scope.add(listener)
    const timer = clock.schedule(
      () => {
        scope.remove(listener)
        resolve()
      },
      delayMs,
      { keepAlive: true },
    )
  })
}
