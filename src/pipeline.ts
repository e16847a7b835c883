import { checkComposition } from './composition.ts'
import { describePolicies, showAs } from './describe.ts'
import {
  Context,
  Execution,
  rejected,
  type Next,
  type OnEvent,
  type Operation,
  type Policy,
} from './policy.ts'
import { followSignal, raceAbort, Scope } from './signal.ts'

export interface ExecuteOptions {
  /** The caller's signal: its abort rejects the execution at once, with its own reason. */
  signal?: AbortSignal | null
  /** What belongs together for policies that keep state a key. Default: everything. */
  key?: string
  /** Told of what happens to this execution, by policies that have no listener of their own. */
  onEvent?: OnEvent
}

export interface Pipeline<Value = unknown> {
  /** Runs `operation` through the policies. It is called once an attempt. */
  execute<T extends Value>(
    operation: (context: Context) => Promise<T> | T,
    options?: ExecuteOptions,
  ): Promise<T>
  /** The pipeline as a tree of its policies and their settings, outermost first; `console.log` shows the same. */
  describe(): string
}

const runOperation = (context: Context): Promise<unknown> => context.execution.operation(context)

/** Puts policies around whatever operation a context carries. */
export function compose<Value>(
  policies: readonly Policy<Value>[],
  around: (next: Next<Value>) => Next<Value> = (next) => next,
): Next<Value> {
  const innermost = around(runOperation as Next<Value>)
  return policies.reduceRight<Next<Value>>((next, policy) => around(policy.wrap(next)), innermost)
}

/**
 * What is no promise becomes one, and what is thrown before there is one fails like anything else. An `async` function
 * does the same for 60 ns more.
 */
export function promising<Value>(next: Next<Value>): Next<Value> {
  return (context) => {
    try {
      const result: Promise<Value> | Value = next(context)
      return result instanceof Promise ? result : Promise.resolve(result)
    } catch (error) {
      return rejected(error)
    }
  }
}

/**
 * Combines policies, outermost first, into one around any async function.
 *
 * @throws {HoldfastError} ERR_INVALID_OPTION when their order is wrong: a breaker outside retry, two timeouts of a kind
 *
 * @example
 * const order = await pipeline(timeout({ totalMs: 5000 }), retry(), circuitBreaker())
 *   .execute(({ signal }) => loadOrder(id, signal))
 */
export function pipeline<Value = unknown>(...policies: Policy<Value>[]): Pipeline<Value> {
  checkComposition('pipeline', policies)
  const handler = compose(policies, promising)
  const describe = (): string => describePolicies(policies)
  const made: Pipeline<Value> = {
    describe,
    execute<T extends Value>(
      operation: (context: Context) => Promise<T> | T,
      options?: ExecuteOptions,
    ): Promise<T> {
      // What it returns becomes a promise in `promising`.
      const execution = new Execution(operation as Operation, options)
      const signal = options?.signal
      // What comes out is what `operation` or a policy typed for `Value` made, so it is a T.
      if (signal === undefined || signal === null)
        return handler(new Context(execution, new Scope())) as Promise<T>
      const link = followSignal(signal)
      const work = handler(new Context(execution, link.scope)) as Promise<T>
      return link.linked ? raceAbort(link.scope, work).finally(link.release) : work
    },
  }
  return showAs(made, () => `pipeline\n${describe()}`)
}
