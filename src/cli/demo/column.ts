import { join } from 'node:path'
import type { Clock } from '../../primitives/clock.ts'
import type { Scope } from '../../primitives/signal.ts'
import { faultServer, type FaultServer, type FaultServerStats } from '../../testing/index.ts'
import { startApi, type ApiProcess } from './api/api-process.ts'
import type { Order } from './order.ts'
import { paced } from './pacing.ts'
import { ARRIVAL_MS, faultPlan } from './plan.ts'
import { countColumn, type ColumnReport } from './report/counts.ts'
import { Tally } from './tally.ts'
import type { Way } from './ways/way.ts'

/** More never wait at a time, unless the service is gone for long. */
const AT_MOST = 300

/** Beyond this rate a small machine measures itself. */
const MS_PER_ORDER = 10

export interface RunContext {
  readonly clock: Clock
  readonly scope: Scope
  readonly seed: number
  /** Where the databases are. */
  readonly directory: string
}

/** One way of sending orders, with an API, a database and a fault server of its own. */
export class Column {
  readonly tally: Tally = new Tally()
  readonly name: string
  readonly #context: RunContext
  readonly #way: Way
  readonly #api: ApiProcess
  #server: FaultServer | undefined
  #durationMs = 0

  constructor(name: string, way: Way, api: ApiProcess, context: RunContext) {
    this.name = name
    this.#way = way
    this.#api = api
    this.#context = context
  }

  /** Sends all orders to their end. The windows of the fault plan count from here. */
  async run(orders: readonly Order[]): Promise<void> {
    const { clock, scope, seed } = this.#context
    this.#server = await faultServer({ upstream: this.#api.url, clock, keepRequests: 0, ...faultPlan(seed) })
    const place = this.#way({ url: `${this.#server.url}/orders`, clock, scope, tally: this.tally })
    const startMs = clock.now()
    const overMs = Math.max(ARRIVAL_MS, orders.length * MS_PER_ORDER)
    await paced(orders, { clock, scope, overMs, atMost: AT_MOST }, async (order) => {
      if (await place(order)) this.tally.confirmed.add(order.number)
      this.tally.finished++
    })
    this.#durationMs = clock.now() - startMs
  }

  get stats(): FaultServerStats | undefined {
    return this.#server?.stats
  }

  /** Judged by the database. */
  async report(ordered: number): Promise<ColumnReport> {
    return countColumn(ordered, await this.#api.rows(), this.tally, this.#durationMs)
  }

  async close(): Promise<void> {
    await this.#server?.close()
    await this.#api.stop()
  }
}

export async function openColumn(name: string, way: Way, context: RunContext): Promise<Column> {
  const api = await startApi(join(context.directory, `${name}.db`))
  return new Column(name, way, api, context)
}
