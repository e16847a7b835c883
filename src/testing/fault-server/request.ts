import type { Fault, FaultKind } from './faults.ts'

/** What the server knows of a request; `server.requests` lists them in order of arrival. */
export interface ReceivedRequest {
  /** 0 for the first request of all. */
  readonly index: number
  /** Since the server started, in ms. */
  readonly atMs: number
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Names in lower case; several lines of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** What makes two requests the same operation: the `Idempotency-Key`, else method and path, or what `identify` says. */
  readonly identity: string
  /** 1 for the first request of its identity, 2 for the next. */
  readonly attempt: number
  /** The body, with `recordBodies` only. */
  readonly body: Uint8Array | undefined
  /** What happened to it. */
  readonly fault: FaultKind
  /** Whether it reached the handler (or the upstream). */
  readonly handled: boolean
  /** The status that the handler answered with. */
  readonly handlerStatus: number | undefined
  /** The status that was sent to the client. */
  readonly status: number | undefined
  /** `answered`: something was sent to its end. `cut`: the connection ended before, whoever did it. */
  readonly outcome: 'pending' | 'answered' | 'cut'
}

/** Decides by the request; `undefined` serves it. */
export type FaultSource = (request: ReceivedRequest) => Fault | undefined
