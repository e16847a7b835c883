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
  /** Before a client whose operation got no definite answer sends again; twice as long after each one, to a limit. */
  parkMs: 150,
  longestParkMs: 4800,
  /** How long a server that was told to stop somewhere may take to get there. */
  armedMs: 3000,
} as const

/**
 * How often an operation may be sent without a definite answer before that is a violation itself. Counted, not timed:
 * a slow service does not hang. One that was sent while the machine gave the crowd no time counts little, since no
 * service could have answered it in time.
 */
export const MOST_SENDINGS = 32
export const LATE_SENDING = 0.1
