/** What a subject does for its caller. Two subjects are alike when they do the same. */
export type Ability =
  | 'retry'
  | 'breaker'
  | 'timeout'
  | 'budget'
  | 'fallback'
  | 'bulkhead'
  | 'hedge'
  | 'throttle'
  | 'concurrency limit'
  | 'coalesce'
  | 'keys'
  | 'refuses'
  | 'idempotent'
  | 'node:http'
  | 'express'
  | 'memory store'
  | 'SQLite store'
  | 'Redis store'
  | 'Postgres store'
  | 'near cache'

/** One call, from its beginning to its end. */
export type Run = () => Promise<unknown>

export interface Prepared {
  readonly run: Run
  /** Stops what keeps running: timers, intervals. */
  readonly close?: () => void
}

/** One line of a table: a way to call `Target`, ours, a peer's, or bare. */
export interface Subject<Target> {
  /** The npm package, or `none` for a bare call. */
  readonly library: string
  readonly name: string
  readonly has: readonly Ability[]
  setup(target: Target): Promise<Prepared>
}

/** An async function whose result is ready: all that is measured is what stands around it. */
export type Ready = () => Promise<string>

/** A request, and who answers it. */
export interface Exchange {
  readonly transport: Transport
  readonly url: string
  readonly init: RequestInit | undefined
}

export type Transport = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** What a library that offers policies or clients brings along. */
export interface Peer {
  /** Around a function with a ready result. */
  readonly policies?: readonly Subject<Ready>[]
  /** The same with an open circuit, which refuses every call. */
  readonly refusals?: readonly Subject<Ready>[]
  /** Around a transport with a ready response. */
  readonly clients?: readonly Subject<Exchange>[]
  /** The client to go through outages with. Default: the one that does most. */
  readonly inOutages?: Subject<Exchange>
}

type Maker<Target> = (
  name: string,
  has: readonly Ability[],
  setup: (target: Target) => Run | Prepared | Promise<Run>,
) => Subject<Target>

/** Makes the subjects of one library. */
export function subjectsOf<Target>(library: string): Maker<Target> {
  return (name, has, setup) => ({
    library,
    name,
    has,
    async setup(target) {
      const prepared = await setup(target)
      return typeof prepared === 'function' ? { run: prepared } : prepared
    },
  })
}

/** A client is set up once around the transport, and called with URL and init. */
export function clientsOf(
  library: string,
): (
  name: string,
  has: readonly Ability[],
  make: (transport: Transport) => (url: string, init?: RequestInit) => PromiseLike<unknown>,
) => Subject<Exchange> {
  const subject = subjectsOf<Exchange>(library)
  return (name, has, make) =>
    subject(name, has, ({ transport, url, init }) => {
      const client = make(transport)
      return async () => await client(url, init)
    })
}

/** Opens a circuit that one failure opens. */
export async function trip(execute: (operation: Ready) => Promise<unknown>): Promise<void> {
  await execute(() => Promise.reject(new Error('down'))).catch(() => {})
}

/** A run that must be refused: its error is awaited and dropped, and a success would be a mistake of the set-up. */
export function refused(run: Run): Run {
  return async () => {
    try {
      await run()
    } catch (error) {
      return error
    }
    throw new Error('the circuit was to refuse this call, and let it through')
  }
}
