import type { HoldfastEvent } from './events.ts'
import type { Context, OnEvent } from './policy.ts'

/**
 * Tells a policy's own listener, else the one of the execution, so that neither a throw nor a rejected promise gets
 * out.
 */
export function emit(own: OnEvent | undefined, event: HoldfastEvent, context?: Context): void {
  const onEvent = own ?? context?.execution.onEvent
  if (onEvent === undefined) return
  quietly(() => onEvent(event, context))
}

/** Runs an observer's code: neither a throw nor a rejected promise gets out. */
export function quietly(run: () => unknown): void {
  try {
    const result = run()
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // Deliberately nothing: watching never changes what is watched.
  }
}

/** One listener for several, in this order; none keeps another from being told. */
export function allOf<Told extends readonly unknown[]>(
  listeners: readonly (((...told: Told) => void) | undefined)[],
): ((...told: Told) => void) | undefined {
  const given = listeners.filter((listener) => listener !== undefined)
  if (given.length <= 1) return given[0]
  return (...told) => {
    for (const listener of given) quietly(() => listener(...told))
  }
}
