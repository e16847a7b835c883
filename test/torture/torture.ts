import { systemClock } from '../../src/primitives/clock.ts'
import { violationsIn, type Violation } from './check/checker.ts'
import { planStrikes } from './plan/plan.ts'
import { pause } from './proxy/connection.ts'
import { tellViolations, type Report } from './report/report.ts'
import type { TortureSettings } from './settings.ts'
import { openShop, type Shop } from './shops/shop.ts'
import { letCrowdWork } from './world/crowd.ts'
import { Fleet } from './world/fleet.ts'
import type { Observation } from './world/observation.ts'
import { Tally } from './world/tally.ts'

export interface TorturePulse {
  readonly ended: number
  readonly kills: number
  readonly faults: number
}

/** How much the crowd slows down for each strike that is overdue. */
const PAUSE_MS = 20

export interface Watch {
  /** Is told after each operation how it goes. */
  readonly onPulse: (pulse: TorturePulse) => void
  /** Ends the run early: it rejects with the reason when everything it made is gone. */
  readonly signal: AbortSignal
}

/** Runs one torture, from an empty database to the verdict. */
export async function torture(settings: TortureSettings, watch: Watch): Promise<Report> {
  const shop = await openShop(settings.shop)
  try {
    return await tortureIn(shop, settings, watch)
  } finally {
    await shop.close()
  }
}

async function tortureIn(shop: Shop, settings: TortureSettings, watch: Watch): Promise<Report> {
  const traffic = new Tally()
  const startMs = performance.now()
  const { observations, struck } = await disturbed(shop, settings, traffic, watch)
  const seconds = (performance.now() - startMs) / 1000
  const [orders, records] = await Promise.all([shop.orders(), shop.records()])
  const { transactional, product } = shop
  const crashes = Object.entries(struck.crashes.toJSON()).map(([code, times]): Violation => ({
    kind: 'crash',
    what: `${times} servers ended by themselves, ${code}`,
  }))
  const found = [...violationsIn({ transactional, observations, orders, records }), ...crashes]
  return {
    shop: settings.shop,
    product,
    mode: transactional ? 'transactional' : 'lease, block',
    broken: settings.broken,
    seed: settings.seed,
    operations: observations.length,
    seconds: Math.round(seconds * 10) / 10,
    servers: settings.servers,
    clients: settings.clients,
    traffic: traffic.toJSON(),
    endings: endingsOf(observations),
    faults: struck.faults.toJSON(),
    kills: struck.kills.toJSON(),
    freezes: struck.freezes.toJSON(),
    partitions: struck.partitions.toJSON(),
    database: { orders: orders.length, keys: records.length },
    violations: tellViolations(found),
  }
}

type Disturbed = { readonly observations: Observation[]; readonly struck: Fleet['struck'] }

/** The crowd at work while the plan is carried out; afterwards everything but the database is gone, and that is quiet. */
async function disturbed(
  shop: Shop,
  settings: TortureSettings,
  traffic: Tally,
  watch: Watch,
): Promise<Disturbed> {
  const fleet = await Fleet.start(shop, settings)
  try {
    const work = crowdAndStrikes({ fleet, transactional: shop.transactional, settings, traffic, watch })
    const observations = await Promise.race([work, abortOf(watch.signal)])
    return { observations, struck: fleet.struck }
  } finally {
    await fleet.close()
    await shop.quiet()
  }
}

interface Work {
  readonly fleet: Fleet
  readonly transactional: boolean
  readonly settings: TortureSettings
  readonly traffic: Tally
  readonly watch: Watch
}

async function crowdAndStrikes(work: Work): Promise<Observation[]> {
  const { fleet, transactional, settings, traffic, watch } = work
  const due = planStrikes(settings)
  const strikes: Promise<void>[] = []
  const strikeUntil = (ended: number): void => {
    for (let next = due[0]; next !== undefined && next.afterOperations <= ended; next = due[0]) {
      const strike = fleet.strike(next)
      // It is awaited when the crowd has left.
      strike.catch(() => {})
      strikes.push(strike)
      due.shift()
    }
  }
  strikeUntil(0)
  const observations = await letCrowdWork({
    settings,
    transactional,
    url: fleet.url,
    traffic,
    clock: systemClock,
    pace: () => (fleet.waiting > 0 ? pause(PAUSE_MS * fleet.waiting) : Promise.resolve()),
    onEnded(ended) {
      watch.signal.throwIfAborted()
      strikeUntil(ended)
      watch.onPulse({ ended, kills: fleet.struck.kills.total, faults: fleet.struck.faults.total })
    },
  })
  fleet.crowdLeft()
  await Promise.all(strikes)
  return observations
}

/** Rejects with the reason as soon as there is one. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

function endingsOf(observations: readonly Observation[]): Record<string, number> {
  const endings = new Tally()
  for (const ending of observations.flatMap((observation) => observation.endings)) {
    const replayed = 'replayed' in ending && ending.replayed ? ', replayed' : ''
    endings.add(ending.type + replayed)
  }
  return endings.toJSON()
}
