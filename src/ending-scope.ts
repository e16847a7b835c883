import { tell, type Receiver } from './direct.ts'
import { quietly } from './emit.ts'
import type { Outcome } from './policy.ts'
import { Scope, type AbortedBy } from './signal.ts'

/** A span of work whose end is told: as the work ends, or at once where it is aborted, whatever the work does then. */
export class EndingScope<T> extends Scope implements Receiver<T> {
  declare private receiver: Receiver<T> | undefined
  declare private readonly discard: ((late: T) => void) | undefined

  /** @param discard frees what comes too late */
  constructor(receiver: Receiver<T>, discard?: (late: T) => void) {
    super()
    this.receiver = receiver
    this.discard = discard
  }

  resolve(value: T): void {
    if (this.receiver === undefined) quietly(() => this.discard?.(value))
    else this.#end({ ok: true, value })
  }

  reject(error: unknown): void {
    this.#end({ ok: false, error })
  }

  override abort(reason: unknown, by: AbortedBy): void {
    super.abort(reason, by)
    this.reject(this.reason)
  }

  /** What is to be done once, before the end is told. */
  protected atEnd?(outcome: Outcome<T>): void

  #end(outcome: Outcome<T>): void {
    const receiver = this.receiver
    if (receiver === undefined) return
    this.receiver = undefined
    try {
      this.atEnd?.(outcome)
    } catch (error) {
      return receiver.reject(error)
    }
    tell(receiver, outcome)
  }
}
