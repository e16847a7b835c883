import { diagnosticsListener } from '../core/diagnostics.ts'
import { allOf } from '../core/emit.ts'
import type { OnEvent } from '../core/policy.ts'

/** Who is told of events: the listeners that were given, and the diagnostics channel while it has subscribers. */
export class Listeners {
  #given: readonly (OnEvent | undefined)[]
  #told: OnEvent | undefined
  #published: OnEvent | undefined

  constructor(given: readonly (OnEvent | undefined)[]) {
    this.#given = given
    this.#told = allOf(given)
  }

  add(listener: OnEvent): void {
    this.#given = [...this.#given, listener]
    this.#told = allOf(this.#given)
    this.#published = undefined
  }

  /** One listener for all; `undefined` where nobody listens, so that no event is made. */
  get current(): OnEvent | undefined {
    const publish = diagnosticsListener()
    return publish === undefined ? this.#told : (this.#published ??= allOf([this.#told, publish]))
  }
}
