import { checkNumber, checkOneOf, invalidOption } from '../../primitives/validate.ts'
import type { Fault } from './faults.ts'
import type { FaultSource } from './request.ts'

/**
 * How a server that is gone looks from outside. `refused`: nobody listens, so a request provably never left.
 * `reset`: connections are accepted and cut at once, so a client can't know.
 */
export type OutageKind = 'refused' | 'reset'

export interface Outage {
  readonly kind: 'outage'
  readonly as: OutageKind
}

/** The whole server is gone: open connections are reset, new ones refused (default) or reset. For `between()`. */
export function outage(as: OutageKind = 'refused'): Outage {
  checkOneOf('as', as, ['refused', 'reset'])
  return { kind: 'outage', as }
}

/** What happens between two points in time, in ms since the server started; the end is not part of it. */
export interface FaultWindow {
  readonly fromMs: number
  readonly toMs: number
  readonly fault: Fault | FaultSource | Outage
}

/**
 * A window of the timeline. Inside it, its fault (or function) decides, and a list of faults is not consumed.
 *
 * @example timeline: [between(2_000, 3_000, status(503)), between(8_000, 13_000, outage())]
 */
export function between(fromMs: number, toMs: number, fault: FaultWindow['fault']): FaultWindow {
  checkNumber('fromMs', fromMs)
  if (!Number.isFinite(toMs) || toMs <= fromMs) throw invalidOption('toMs', `a number > ${fromMs}`, toMs)
  return { fromMs, toMs, fault }
}

export interface OutageWindow extends FaultWindow {
  readonly fault: Outage
}

export function isOutage(window: FaultWindow): window is OutageWindow {
  return typeof window.fault === 'object' && window.fault.kind === 'outage'
}

/** The outages, soonest first. Two that overlap would leave open what the server does when the first one ends. */
export function outagesOf(timeline: readonly FaultWindow[]): OutageWindow[] {
  const outages = timeline.filter(isOutage).toSorted((a, b) => a.fromMs - b.fromMs)
  for (const [index, window] of outages.entries()) {
    const before = outages[index - 1]
    if (before !== undefined && window.fromMs < before.toMs) {
      throw invalidOption(
        'timeline',
        `without overlapping outages (one ends at ${before.toMs} ms)`,
        window.fromMs,
      )
    }
  }
  return outages
}
