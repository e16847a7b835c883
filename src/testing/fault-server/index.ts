import { settle, type FaultServerOptions } from './options.ts'
import type { FaultServer } from './server.ts'

export {
  endless,
  hang,
  hangAfter,
  latency,
  ok,
  reset,
  resetAfter,
  stall,
  status,
  statusAfter,
  times,
  truncate,
  type AnswerOptions,
  type CutOptions,
  type EndlessOptions,
  type Fault,
  type FaultKind,
} from './faults.ts'
export type { FaultServerOptions } from './options.ts'
export { randomFaults, type RandomFaultsOptions } from './random-faults.ts'
export type { FaultSource, ReceivedRequest } from './request.ts'
export type { FaultServer, FaultServerStats } from './server.ts'
export { between, outage, type FaultWindow, type Outage, type OutageKind } from './timeline.ts'

/**
 * A real HTTP server on loopback that fails on purpose, in front of a handler or of another server. Node only; it keeps
 * the process alive until it is closed.
 *
 * @throws HoldfastError `ERR_INVALID_OPTION`, with the value it got.
 * @example
 * await using server = await faultServer({ handler, faults: [status(503), resetAfter(), ok()] })
 * const response = await fetch(server.url, { method: 'POST' })
 * assert.equal(server.requests.length, 3)
 */
export async function faultServer(options: FaultServerOptions = {}): Promise<FaultServer> {
  const settings = settle(options)
  // Loaded when asked for, so that the other tools of `holdfast/testing` load where there is no Node.
  const { startFaultServer } = await import('./server.ts')
  return startFaultServer(settings)
}
