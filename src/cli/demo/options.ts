/** What `holdfast demo` was asked for. */
export interface DemoOptions {
  readonly orders: number
  readonly seed: number
  /** Divide all durations by 20. */
  readonly fast: boolean
  readonly json: boolean
}
