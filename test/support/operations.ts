/** An operation that fails `failures` times, then succeeds; it counts its calls. */
export function failing<T>(failures: number, value: T): (() => Promise<T>) & { calls: number } {
  const operation = async (): Promise<T> => {
    operation.calls++
    if (operation.calls <= failures) throw new Error(`failure ${operation.calls}`)
    return value
  }
  operation.calls = 0
  return operation
}

/** A promise and the means to end it. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: unknown): void
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

/** How a promise has ended so far. */
export function watch<T>(promise: Promise<T>): { value?: T; error?: unknown; settled: boolean } {
  const state: { value?: T; error?: unknown; settled: boolean } = { settled: false }
  promise.then(
    (value) => Object.assign(state, { value, settled: true }),
    (error: unknown) => Object.assign(state, { error, settled: true }),
  )
  return state
}
