import type { IncomingMessage, ServerResponse } from 'node:http'
import { systemClock, type Clock } from '../../primitives/clock.ts'
import { parsedUrl } from '../../http/parsed-url.ts'
import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkOneOf,
  invalidOption,
} from '../../primitives/validate.ts'
import type { Fault } from './faults.ts'
import type { FaultSource, ReceivedRequest } from './request.ts'
import { outagesOf, type FaultWindow } from './timeline.ts'

export type WebHandler = (request: Request) => Response | Promise<Response>
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => unknown

export interface FaultServerOptions {
  /** Serves what no fault keeps away, web-standard. Default: 200 with `{"ok":true}`. */
  handler?: WebHandler
  /** The same as a Node listener, such as an express app. Instead of `handler`. */
  listener?: NodeListener
  /** The same as another server: its origin (`http:` only). Requests and responses are streamed. Instead of `handler`. */
  upstream?: string | URL
  /**
   * What goes wrong: a list, one entry a request, after whose end everything is served (`times()` makes a run of one
   * fault); or a function of the request, such as `randomFaults()`. Default: nothing.
   */
  faults?: readonly (Fault | readonly Fault[])[] | FaultSource
  /** What goes wrong when; a window goes before `faults`. Default: nothing. */
  timeline?: readonly FaultWindow[]
  /** What makes two requests the same operation. Default: the `Idempotency-Key`, else method and path. */
  identify?: (request: Pick<ReceivedRequest, 'method' | 'path' | 'headers'>) => string
  /** Reads each body before anything happens and keeps it. Default `false`. */
  recordBodies?: boolean
  /** How many of the latest requests `server.requests` keeps. Default 10 000. */
  keepRequests?: number
  /** Default `'127.0.0.1'`. */
  host?: string
  /** Default 0: any free one. An outage gives it up and takes it again. */
  port?: number
  /** The time of delays and of the timeline. Default: the platform's. */
  clock?: Clock
}

const KNOWN = [
  'handler',
  'listener',
  'upstream',
  'faults',
  'timeline',
  'identify',
  'recordBodies',
  'keepRequests',
  'host',
  'port',
  'clock',
] as const satisfies readonly (keyof FaultServerOptions)[]

export interface Settings {
  readonly target:
    | { readonly kind: 'web'; readonly handler: WebHandler }
    | { readonly kind: 'node'; readonly listener: NodeListener }
    | { readonly kind: 'upstream'; readonly origin: URL }
  readonly choose: FaultSource
  readonly timeline: readonly FaultWindow[]
  readonly identify: NonNullable<FaultServerOptions['identify']>
  readonly recordBodies: boolean
  readonly keepRequests: number
  readonly host: string
  readonly port: number
  readonly clock: Clock
}

/** Everything checked and filled in. */
export function settle(options: FaultServerOptions): Settings {
  checkKeys('faultServer', options, KNOWN)
  const { keepRequests = 10_000, port = 0, recordBodies = false, host = '127.0.0.1', timeline = [] } = options
  checkInteger('keepRequests', keepRequests)
  checkInteger('port', port)
  checkOneOf('recordBodies', recordBodies, [true, false])
  if (typeof host !== 'string' || host === '') throw invalidOption('host', 'an address', host)
  if (options.identify !== undefined) checkFunction('identify', options.identify)
  if (!Array.isArray(timeline)) throw invalidOption('timeline', 'an array of between(...)', timeline)
  outagesOf(timeline)
  return {
    target: targetOf(options),
    choose: chooser(options.faults ?? []),
    timeline,
    identify: options.identify ?? sameOperation,
    recordBodies,
    keepRequests,
    host,
    port,
    clock: options.clock ?? systemClock,
  }
}

function targetOf({ handler, listener, upstream }: FaultServerOptions): Settings['target'] {
  const given = [handler, listener, upstream].filter((target) => target !== undefined)
  if (given.length > 1) throw invalidOption('faultServer', 'given one of handler, listener, upstream', given)
  if (listener !== undefined) {
    checkFunction('listener', listener)
    return { kind: 'node', listener }
  }
  if (upstream !== undefined) return { kind: 'upstream', origin: checkOrigin(upstream) }
  if (handler !== undefined) checkFunction('handler', handler)
  return { kind: 'web', handler: handler ?? (() => Response.json({ ok: true })) }
}

function checkOrigin(upstream: string | URL): URL {
  const url = parsedUrl(String(upstream))
  if (url?.protocol !== 'http:') throw invalidOption('upstream', 'an http: origin', String(upstream))
  return url
}

function sameOperation(request: Pick<ReceivedRequest, 'method' | 'path' | 'headers'>): string {
  return request.headers['idempotency-key'] ?? `${request.method} ${request.path}`
}

function chooser(faults: NonNullable<FaultServerOptions['faults']>): FaultSource {
  if (typeof faults === 'function') return faults
  if (!Array.isArray(faults)) throw invalidOption('faults', 'a list of faults or a function', faults)
  const list: unknown[] = faults.flat()
  const queue = list.map((fault) => {
    if (isFault(fault)) return fault
    throw invalidOption('faults', 'made of ok(), status(), reset() and their kin', fault)
  })
  return () => queue.shift()
}

function isFault(value: unknown): value is Fault {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind !== 'outage'
}
