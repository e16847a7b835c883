import { Context, Execution, type Next, type Policy } from './policy.ts'
import { followSignal, raceAbort } from './signal.ts'

export interface ExecuteOptions {
  /** The caller's signal: its abort rejects the execution at once, with its own reason. */
  signal?: AbortSignal | null
}

export interface Pipeline<Value = unknown> {
  /** Runs `operation` through the policies. It is called once an attempt. */
  execute<T extends Value>(
    operation: (context: Context) => Promise<T> | T,
    options?: ExecuteOptions,
  ): Promise<T>
}

const runOperation = (context: Context): Promise<unknown> => context.execution.operation(context)

/** Puts policies around whatever operation a context carries. */
export function compose<Value>(policies: readonly Policy<Value>[]): Next<Value> {
  const innermost = runOperation as Next<Value>
  return policies.reduceRight<Next<Value>>((next, policy) => policy.wrap(next), innermost)
}

/**
 * Combines policies, outermost first, into one around any async function.
 *
 * @example
 * const order = await pipeline(timeout({ totalMs: 5000 }), retry(), circuitBreaker())
 *   .execute(({ signal }) => loadOrder(id, signal))
 */
export function pipeline<Value = unknown>(...policies: Policy<Value>[]): Pipeline<Value> {
  const handler = compose(policies)
  return {
    execute<T extends Value>(
      operation: (context: Context) => Promise<T> | T,
      options?: ExecuteOptions,
    ): Promise<T> {
      const link = followSignal(options?.signal)
      const context = new Context(new Execution(async (inner) => operation(inner)), link.scope)
      // What comes out is what `operation` or a policy typed for `Value` made, so it is a T.
      const work = handler(context) as Promise<T>
      return link.linked ? raceAbort(link.scope, work).finally(link.release) : work
    },
  }
}
