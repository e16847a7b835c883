import { checkComposition } from './composition.ts'
import { describePolicies, showAs } from './describe.ts'
import { compose, workOf } from './direct.ts'
import { Context, Execution, rejected, type Next, type OnEvent, type Policy } from './policy.ts'
import { raceAbort } from './work.ts'
import { followSignal, Scope } from '../primitives/signal.ts'
import { checkFunction, checkKeys, checkObject, invalidOption, type Rules } from '../primitives/validate.ts'

export interface ExecuteOptions {
  /** The caller's signal: its abort rejects the execution at once, with its own reason. */
  signal?: AbortSignal | null | undefined
  /** What belongs together for policies that keep state a key. Default: everything. */
  key?: string | undefined
  /** Told of what happens to this execution, by policies that have no listener of their own. */
  onEvent?: OnEvent | undefined
}

export interface Pipeline<Value = unknown> {
  /**
   * Runs `operation` through the policies. It is called once an attempt. Never throws: wrong arguments reject with
   * ERR_INVALID_OPTION, and begin nothing.
   */
  execute<T extends Value>(
    operation: (context: Context) => Promise<T> | T,
    options?: ExecuteOptions,
  ): Promise<T>
  /** The pipeline as a tree of its policies and their settings, outermost first; `console.log` shows the same. */
  describe(): string
}

/** Not made by `rule()`: what is called as this is loaded stays in every application's bundle. */
const RULES: Rules<ExecuteOptions> = {
  signal(name, signal) {
    if (signal !== null && typeof (signal as AbortSignal).addEventListener !== 'function')
      throw invalidOption(name, 'an AbortSignal', signal)
  },
  key(name, key) {
    if (typeof key !== 'string') throw invalidOption(name, 'a string', key)
  },
  onEvent: checkFunction,
}

/**
 * Before any policy sees the call: a mistake of the caller's is no failure to try again, or to count. It looks at what
 * is given only: `checkOptions` asks for everything there is, which takes 100 ns.
 */
function checkCall(operation: unknown, options: ExecuteOptions | undefined): void {
  checkFunction('operation', operation)
  checkObject('options', options)
  // That of an execution outside is passed on for its signal.
  if (options instanceof Context) return
  for (const name in options) {
    const key = name as keyof ExecuteOptions
    if (!Object.hasOwn(RULES, key)) checkKeys('execute', options, Object.keys(RULES))
    else if (options[key] !== undefined) RULES[key](name, options[key])
  }
}

/** The innermost part. What comes of it becomes a promise in `workOf`. */
function runOperation(context: Context): Promise<unknown> {
  // A policy of the user's may have waited, and knows no abort: what has ended must not be done any more.
  if (context.scope.aborted) throw context.scope.reason
  return (context.execution.data as (context: Context) => Promise<unknown>)(context)
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
  const handler = compose(policies, workOf(runOperation as Next<Value>)).next
  const describe = (): string => describePolicies(policies)
  const made: Pipeline<Value> = {
    describe,
    execute<T extends Value>(
      operation: (context: Context) => Promise<T> | T,
      options?: ExecuteOptions,
    ): Promise<T> {
      try {
        // Mostly there is nothing to look at, and not to look saves 10 ns.
        if (typeof operation !== 'function' || options !== undefined) checkCall(operation, options)
        const execution = new Execution(operation, options)
        const scope = new Scope()
        const link = followSignal(options?.signal, scope)
        if (scope.aborted) return rejected(scope.reason)
        const work = handler(new Context(execution, scope)) as Promise<T>
        return link === undefined ? work : raceAbort(scope, work).finally(link.release)
      } catch (error) {
        return rejected(error)
      }
    },
  }
  return showAs(made, () => `pipeline\n${describe()}`)
}
