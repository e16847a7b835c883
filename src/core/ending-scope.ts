import { failed, type Receiver } from './direct.ts'
import { quietly } from './emit.ts'
import type { Outcome } from './policy.ts'
import { Scope, type AbortedBy } from '../primitives/signal.ts'

/** A span of work whose end is told: as the work ends, or at once where it is aborted, whatever the work does then. */
export abstract class EndingScope<T> extends Scope implements Receiver<T> {
  declare private receiver: Receiver<T> | undefined
  declare private readonly discard: ((late: T) => void) | undefined

  /** @param discard frees what comes too late */
  constructor(receiver: Receiver<T>, discard?: (late: T) => void) {
    super()
    this.receiver = receiver
    this.discard = discard
  }

  override abort(reason: unknown, by: AbortedBy): void {
    super.abort(reason, by)
    this.end(failed(this.reason))
  }

  /** What is to be done once, before the end is told. */
  protected abstract atEnd(outcome: Outcome<T>): void

  end(outcome: Outcome<T>): void {
    const receiver = this.receiver
    if (receiver === undefined) return this.#late(outcome)
    this.receiver = undefined
    try {
      this.atEnd(outcome)
    } catch (error) {
      return receiver.end(failed(error))
    }
    receiver.end(outcome)
  }

  #late(outcome: Outcome<T>): void {
    if (outcome.ok) quietly(() => this.discard?.(outcome.value))
  }
}
