import { outcomeOf } from 'holdfast'
import type { components } from './schema.ts'

export type Problem = components['schemas']['Problem']

/** The API's last word: it refused, or kept failing. */
export class OrdersError extends Error {
  override readonly name = 'OrdersError'
  readonly status: number
  /** What the API says of it, where it says anything. */
  readonly problem: Problem | undefined
  /** Whether the order may have been placed all the same: send it again later, with this key. */
  readonly uncertain: boolean
  readonly idempotencyKey: string | undefined

  constructor(response: Response, problem: Problem | undefined) {
    super(problem?.title ?? `the Orders API answered ${response.status}`)
    this.status = response.status
    this.problem = problem
    const { uncertain = false, idempotencyKey } = outcomeOf(response) ?? {}
    this.uncertain = uncertain
    this.idempotencyKey = idempotencyKey
  }
}

/** A gateway in between answers with whatever it likes. */
export function errorOf(response: Response, body: unknown): OrdersError {
  const isProblem = typeof body === 'object' && body !== null
  return new OrdersError(response, isProblem ? body : undefined)
}
