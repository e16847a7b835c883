/** What one run is asked to do, and the times it runs by. All durations are milliseconds. */

export type ShopName = 'postgres' | 'sqlite' | 'redis'

export const SHOPS: readonly ShopName[] = ['postgres', 'sqlite', 'redis']

export interface TortureSettings {
  readonly shop: ShopName
  readonly operations: number
  readonly kills: number
  readonly seed: number
  readonly servers: number
  readonly clients: number
  /** Whether the store is one without fencing, which has to be caught. */
  readonly broken: boolean
}

/** Short, so that leases run out and takeovers happen; long enough for a healthy request on a busy machine. */
export const TIMES = {
  leaseMs: 600,
  storeTimeoutMs: 500,
  attemptMs: 1200,
  totalMs: 5000,
  /** Before an operation without a definite answer is sent again. */
  parkMs: 150,
  /** How long an operation may stay without a definite answer before that is a violation itself. */
  patienceMs: 90_000,
  /** How long a server that was told to stop somewhere may take to get there. */
  armedMs: 3000,
} as const
