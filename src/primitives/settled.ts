import { createStamp } from './stamp.ts'

const values = createStamp<{ readonly value: unknown }>()

/** A resolved promise whose value can be had at once, with `settledValue`: for who has nothing to wait for. */
export function settled<T>(value: T): Promise<T> {
  const promise = Promise.resolve(value)
  values.set(promise, { value })
  return promise
}

/** What a promise made by `settled` resolves to; nothing for any other one. */
export function settledValue<T>(promise: Promise<T>): { readonly value: T } | undefined {
  // Only `settled` sets it, to the value of the very promise.
  return values.get(promise) as { readonly value: T } | undefined
}

/** What `next` makes of a value: at once where it is there, without a promise. */
export function after<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  // oxlint-disable-next-line promise/no-callback-in-promise -- that is what it is for
  return value instanceof Promise ? value.then(next) : next(value)
}

/** What `work` makes, or else what `failed` makes of its error: at once where that is there, without a promise. */
export function caught<T>(work: () => T | Promise<T>, failed: (error: unknown) => T): T | Promise<T> {
  try {
    const working = work()
    return working instanceof Promise ? working.catch(failed) : working
  } catch (error) {
    return failed(error)
  }
}
