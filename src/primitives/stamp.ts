/** A note kept on an object that nobody else can see, list or copy. */
export interface Stamp<T> {
  get(target: unknown): T | undefined
  set(target: object, value: T): void
}

const isObject = (value: unknown): value is object =>
  (typeof value === 'object' && value !== null) || typeof value === 'function'

/** A constructor that returns another object makes a subclass install its private fields on that one. */
// oxlint-disable-next-line typescript/no-extraneous-class -- only a constructor can do this
export class Returned {
  constructor(target: object) {
    return target
  }
}

/**
 * A WeakMap in all but cost: a private field is a hidden property of the object itself, so it needs no hash entry and
 * gives the garbage collector no ephemeron to trace.
 */
export function createStamp<T>(): Stamp<T> {
  class Stamped extends Returned {
    #value: T

    constructor(target: object, value: T) {
      super(target)
      this.#value = value
    }

    static get(target: unknown): T | undefined {
      return isObject(target) && #value in target ? target.#value : undefined
    }

    static set(target: object, value: T): void {
      if (#value in target) target.#value = value
      // oxlint-disable-next-line no-new -- the new fields are on `target`
      else new Stamped(target, value)
    }
  }
  return Stamped
}
