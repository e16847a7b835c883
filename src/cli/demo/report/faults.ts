import type { FaultServerStats } from '../../../testing/index.ts'
import { OUTAGE_MS } from '../plan.ts'

/** What the fault servers did, counted by themselves, all columns together. */
export interface FaultReport {
  /** Requests answered with a 5xx on purpose. */
  readonly serverErrors: number
  /** Connections cut before the API saw the request. */
  readonly resets: number
  /** Orders committed by the API whose answer never reached the client. */
  readonly lostAfterCommit: number
  readonly delayed: number
  /** Connections cut at once while the service was gone; refused ones leave no trace to count. */
  readonly cutInOutage: number
  /** How long the service was gone, in each column. */
  readonly outageMs: number
}

export function sumFaults(servers: readonly FaultServerStats[]): FaultReport {
  const sum = (count: (stats: FaultServerStats) => number | undefined): number =>
    servers.reduce((total, stats) => total + (count(stats) ?? 0), 0)
  return {
    serverErrors: sum(({ faults }) => faults.status),
    resets: sum(({ faults }) => faults.reset),
    lostAfterCommit: sum(({ lostAfterHandling }) => lostAfterHandling),
    delayed: sum(({ faults }) => faults.latency),
    cutInOutage: sum(({ resetAtAccept }) => resetAtAccept),
    outageMs: OUTAGE_MS,
  }
}
