import type { HoldfastEvent } from './events.ts'
import type { Context, OnEvent } from './policy.ts'

/**
 * Tells a policy's own listener, else the one of the execution, so that neither a throw nor a rejected promise gets
 * out.
 */
export function emit(own: OnEvent | undefined, event: HoldfastEvent, context?: Context): void {
  const onEvent = own ?? context?.execution.onEvent
  if (onEvent === undefined) return
  try {
    const result: unknown = onEvent(event, context)
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // Deliberately nothing: a listener is an observer.
  }
}
