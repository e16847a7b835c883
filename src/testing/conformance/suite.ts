import { systemClock } from '../../primitives/clock.ts'
import { Api } from './api.ts'
import type { Settings } from './options.ts'
import { describeAsk } from './expect.ts'
import { ConformanceSetupError, Failed, Inconclusive, Skipped } from './failure.ts'
import type { ConformanceLevel, Row } from './row.ts'
import { rows } from './rows/index.ts'
import { withoutSecrets } from './secrets.ts'
import { probe } from './setup.ts'

/** What became of a row. */
export interface ConformanceResult {
  readonly id: string
  readonly level: ConformanceLevel
  readonly title: string
  /** `inconclusive`: the API or this machine was too slow to tell. */
  readonly result: 'pass' | 'fail' | 'inconclusive' | 'skipped'
  /** What was sent, expected and got; or why the row was skipped or tells nothing. */
  readonly detail?: string
  /** The row that failed, without which this one would tell nothing. */
  readonly blockedBy?: string
}

type Outcome = Pick<ConformanceResult, 'result' | 'detail' | 'blockedBy'>

/** Runs each row once, one after the other: they count the runs of one handler. */
export class Suite {
  readonly #settings: Settings
  readonly #results = new Map<string, Promise<ConformanceResult>>()
  #probe: ReturnType<typeof probe> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** @throws ConformanceSetupError where no row can be run. */
  probe(): ReturnType<typeof probe> {
    this.#probe ??= probe(this.#settings).catch((error: unknown) => {
      if (!(error instanceof ConformanceSetupError)) throw error
      throw new ConformanceSetupError(withoutSecrets(error.message, this.#settings))
    })
    return this.#probe
  }

  check(row: Row): Promise<ConformanceResult> {
    const known = this.#results.get(row.id)
    if (known !== undefined) return known
    const result = this.#judge(row).then((outcome) => resultOf(row, outcome))
    this.#results.set(row.id, result)
    return result
  }

  async #judge(row: Row): Promise<Outcome> {
    await this.probe()
    const missing = row.missing?.(this.#settings)
    if (missing !== undefined) return { result: 'skipped', detail: missing }
    for (const id of row.needs ?? []) {
      const needed = rows.find((candidate) => candidate.id === id)
      if (needed === undefined) continue
      const { result, blockedBy } = await this.check(needed)
      if (result === 'fail') return blocked(id)
      if (result === 'skipped')
        return blockedBy === undefined ? { result, detail: `${id} was skipped` } : blocked(blockedBy)
    }
    const running = this.#last.then(() => this.#run(row))
    this.#last = running.catch(() => {})
    return running
  }

  async #run(row: Row): Promise<Outcome> {
    const { timeoutMs } = this.#settings
    const { bareKeys } = await this.probe()
    const controller = new AbortController()
    const api = new Api(this.#settings, controller.signal, bareKeys)
    let timer = systemClock.schedule(() => {}, 0)
    const timeout = new Promise<never>((_, reject) => {
      timer = systemClock.schedule(() => reject(late(api)), timeoutMs, { keepAlive: true })
    })
    const running = row.run(api)
    try {
      await Promise.race([running, timeout])
      return { result: 'pass' }
    } catch (error) {
      const result = resultOfError(error)
      if (result === undefined || !(error instanceof Error)) throw error
      return { result, detail: withoutSecrets(error.message, this.#settings) }
    } finally {
      timer.cancel()
      controller.abort()
      // What it would still send is refused from here on, and what it counts would be the next row's runs.
      await running.catch(() => {})
    }
  }
}

/** Of the time of a row. Who keeps a request waiting for longer does not answer it; who answers all of them is slow. */
const MOST_WAITING = 1 / 2

/** What is to be said of a row whose time is over. */
function late({ settings: { timeoutMs }, unanswered }: Api): Failed | Inconclusive {
  if (unanswered !== undefined && unanswered.forMs >= timeoutMs * MOST_WAITING) {
    return new Failed(
      `sent ${describeAsk(unanswered.ask)}; got no answer before the row's ${timeoutMs} ms were over`,
    )
  }
  return new Inconclusive(`too slow to tell: no end within ${timeoutMs} ms; try a larger timeoutMs`)
}

function resultOfError(error: unknown): Outcome['result'] | undefined {
  if (error instanceof Skipped) return 'skipped'
  if (error instanceof Inconclusive) return 'inconclusive'
  return error instanceof Failed ? 'fail' : undefined
}

const blocked = (by: string): Outcome => ({ result: 'skipped', detail: `${by} failed`, blockedBy: by })

function resultOf({ id, level, title }: Row, outcome: Outcome): ConformanceResult {
  return { id, level, title, ...outcome }
}
