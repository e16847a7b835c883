import type { Context, Next, Policy } from '../../src/core/policy.ts'

/** A policy of somebody's own that writes down what the one inside it fails with. */
export class Hearing implements Policy {
  readonly name = 'hearing'
  readonly errors: unknown[] = []

  wrap<T>(next: Next<T>): Next<T> {
    return (context: Context) =>
      next(context).catch((error: unknown) => {
        this.errors.push(error)
        throw error
      })
  }
}
