/**
 * A storm over the server half: requests with few keys to processes that share a store, whose calls fail, hang and come
 * late as chance says, and that may die in the middle; all on a virtual clock.
 */
import {
  idempotency,
  idempotencyOf,
  type AcquireRequest,
  type AcquireResult,
  type IdempotencyEvent,
  type IdempotencyStore,
  type Lease,
  type StoreTransaction,
} from '../../src/idempotency/index.ts'
import type { Clock } from '../../src/primitives/clock.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { nearCache } from '../../src/stores/near-cache.ts'
import { virtualClock, type VirtualClock } from '../../src/testing/index.ts'

/** What becomes of one call of the store. `before`: nothing happens; `after`: it happens, and the answer gets lost. */
export interface StoreWeather {
  readonly outMs: number
  readonly backMs: number
  readonly fault: 'none' | 'before' | 'after' | 'hang'
}

/** What a handler does in one run. */
export interface Work {
  readonly takesMs: number
  readonly gives: number | 'throws'
  readonly began: boolean
  readonly inTransaction: boolean
}

export interface Asked {
  readonly startMs: number
  readonly process: number
  readonly key: string
  readonly body: string
  readonly preferWaitS: number | undefined
  readonly leavesAfterMs: number | undefined
}

export interface StormOptions {
  readonly abandoned: 'block' | 'takeover'
  readonly inFlight: 'reject' | 'wait'
  readonly leaseMs: number
  readonly ttlMs: number
  readonly storeTimeoutMs: number
  readonly transactionTimeoutMs: number
  readonly maxWaitersPerKey: number
}

export interface Storm {
  readonly options: StormOptions
  readonly asked: readonly Asked[]
  /** Of the store's calls, in turn; then it is calm. */
  readonly store: readonly StoreWeather[]
  /** Of the handlers' runs, in turn, over and over. */
  readonly work: readonly Work[]
  /** When each process dies. */
  readonly diesMs: readonly (number | undefined)[]
  /** Which processes keep a near cache. */
  readonly near: readonly boolean[]
}

/** One run of a handler. */
export interface Run {
  readonly number: number
  /** The place of the request that it is for. */
  readonly asked: number
  readonly key: string
  readonly body: string
  readonly process: number
  readonly fence: number
  readonly startMs: number
  readonly work: Work
  /** When its effect happened; never, where its process died before. */
  endMs: number | undefined
}

export interface Answered {
  /** The place of what was asked; none where it was asked in the calm after it. */
  readonly place: number
  readonly atMs: number
  readonly status: number
  readonly text: string
  readonly replayed: boolean
  /** The header `Idempotency-Status`. */
  readonly mark: string | null
  /** The problem's code, of what the layer says itself. */
  readonly code: string | undefined
}

export interface Told {
  readonly process: number
  readonly atMs: number
  readonly event: IdempotencyEvent
}

/** What has really happened to a record. */
export interface Deed {
  readonly what: 'acquired' | 'extended' | 'completed' | 'released'
  readonly key: string
  readonly fence: number
  readonly atMs: number
}

export interface Aftermath {
  readonly answered: readonly Answered[]
  readonly runs: readonly Run[]
  readonly events: readonly Told[]
  readonly deeds: readonly Deed[]
  /** What runs did in transactions that were committed: their numbers. */
  readonly effects: readonly number[]
  /** Whether any call of the store failed, hung, or came late. */
  readonly wasFaulty: boolean
  /** When all was over. */
  readonly endMs: number
  /** What a new process answers, now that it is calm, to the request with `key` and `body`; nothing is run for it. */
  ask(key: string, body: string): Promise<Answered>
}

const forever = <T>(): Promise<T> => new Promise<T>(() => {})

const wait = (clock: VirtualClock, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.schedule(resolve, ms))

/** The store as the processes see it, and what really happened to it. */
class WeatheredStore {
  readonly deeds: Deed[] = []
  readonly effects: number[] = []
  wasFaulty = false
  readonly #clock: VirtualClock
  readonly #real: IdempotencyStore
  readonly #weather: StoreWeather[]
  readonly #fences = new Map<string, number>()
  /** Keys whose records are locked by an open transaction. */
  readonly #locks = new Map<string, OpenTransaction>()

  constructor(clock: VirtualClock, weather: readonly StoreWeather[]) {
    this.#clock = clock
    this.#real = memoryStore({ clock })
    this.#weather = [...weather]
  }

  /** The view of a process: once it is dead, nothing of it happens any more. */
  seenBy(isDead: () => boolean): IdempotencyStore {
    const real = this.#real
    const call = <T>(work: () => Promise<T>): Promise<T> => this.#call(isDead, work)
    const noted = <T extends string>(lease: Lease, work: () => Promise<T>): Promise<T> =>
      call(async () => this.#note(lease, await work()))
    return {
      name: 'weathered',
      acquire: (request) => call(() => this.#acquire(request)),
      begin: (lease) => call(() => this.#begin(isDead, lease)),
      heartbeat: (lease) => noted(lease, () => real.heartbeat(lease)),
      complete: (lease, response) => noted(lease, () => real.complete(lease, response)),
      release: (lease) => noted(lease, () => real.release(lease)),
      read: (lease) => call(() => real.read(lease)),
    }
  }

  async #acquire(request: AcquireRequest): Promise<AcquireResult> {
    // As a database, which can't give away what a transaction has locked.
    if (this.#isLocked(request.key)) return { type: 'busy', retryAfterMs: 1 }
    const result = await this.#real.acquire(request)
    // To its owner it is told once more, and no longer his for that.
    if (result.type === 'acquired' && !this.#fences.has(request.owner)) {
      this.#fences.set(request.owner, result.fence)
      this.#note(request, 'acquired')
    }
    return result
  }

  #isLocked(key: string): boolean {
    return this.#locks.get(key)?.isOpen() === true
  }

  /** Its effects and the record happen together, or not at all; with its process it is rolled back. */
  async #begin(isDead: () => boolean, lease: Lease | undefined): Promise<StoreTransaction | 'stale'> {
    if (lease === undefined) throw new Error('in a storm every request has a key')
    if (this.#isLocked(lease.key)) throw new Error('the record is locked')
    if (this.#note(lease, await this.#real.heartbeat(lease)) === 'lost') return 'stale'
    let isOver = false
    this.#locks.set(lease.key, { isOpen: () => !isOver && !isDead() })
    const client: number[] = []
    const end = async <T>(work: () => Promise<T>): Promise<T> => {
      if (isOver) throw new Error('the transaction is over')
      isOver = true
      return work()
    }
    return {
      client,
      complete: (response) =>
        this.#call(isDead, () =>
          end(async () => {
            const result = this.#note(lease, await this.#real.complete(lease, response))
            if (result === 'completed') this.effects.push(...client)
            return result
          }),
        ),
      commit: () => Promise.reject(new Error('in a storm every request has a key')),
      // Whether the answer comes or not: a database rolls back what it has lost the connection to.
      rollback: () => {
        isOver = true
        return this.#call(isDead, async () => {})
      },
    }
  }

  #note<T extends string>({ key, owner }: Lease, what: T): T {
    const fence = this.#fences.get(owner) ?? 0
    if (isDeed(what)) this.deeds.push({ what, key, fence, atMs: this.#clock.now() })
    return what
  }

  /** As it is, without weather. */
  get calm(): IdempotencyStore {
    return this.#real
  }

  async #call<T>(isDead: () => boolean, work: () => Promise<T>): Promise<T> {
    const { outMs, backMs, fault } = this.#weather.shift() ?? { outMs: 0, backMs: 0, fault: 'none' }
    if (fault !== 'none' || outMs + backMs > 0) this.wasFaulty = true
    if (outMs > 0) await wait(this.#clock, outMs)
    if (isDead()) return forever()
    if (fault === 'before') throw new Error('the store refused')
    const result = await work()
    if (backMs > 0) await wait(this.#clock, backMs)
    if (isDead() || fault === 'hang') return forever()
    if (fault === 'after') throw new Error('the answer got lost')
    return result
  }
}

interface OpenTransaction {
  isOpen(): boolean
}

const isDeed = (what: string): what is Deed['what'] =>
  ['acquired', 'extended', 'completed', 'released'].includes(what)

type Handle = (request: Request) => Promise<Response>

const URL_OF_ORDERS = 'http://storm.test/orders'

function requestOf({ key, body, preferWaitS }: Asked, place: number, signal: AbortSignal): Request {
  const headers: Record<string, string> = { 'idempotency-key': key, 'x-place': String(place) }
  if (preferWaitS !== undefined) headers['prefer'] = `wait=${preferWaitS}`
  return new Request(URL_OF_ORDERS, { method: 'POST', body, headers, signal })
}

async function answeredBy(
  handle: Handle,
  asked: Asked,
  place: number,
  clock: VirtualClock,
): Promise<Answered> {
  const controller = new AbortController()
  if (asked.leavesAfterMs !== undefined) clock.schedule(() => controller.abort(), asked.leavesAfterMs)
  // What the handler threw is answered by whoever stands outside.
  const response = await handle(requestOf(asked, place, controller.signal)).catch(
    () => new Response(THREW, { status: 500 }),
  )
  const text = await response.text()
  const isProblem = response.headers.get('content-type') === 'application/problem+json'
  return {
    place,
    atMs: clock.now(),
    status: response.status,
    text,
    replayed: response.headers.get('idempotent-replayed') === 'true',
    mark: response.headers.get('idempotency-status'),
    code: isProblem ? (JSON.parse(text) as { code: string }).code : undefined,
  }
}

/** The clock of a process: once that is dead, nothing it has waited for comes. */
function clockOf(clock: VirtualClock, isDead: () => boolean): Clock {
  return {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    schedule: (callback, delayMs, options) =>
      clock.schedule(() => void (isDead() || callback()), delayMs, options),
  }
}

/** Lets it pass, and tells what happened. */
export async function weathered({ options, asked, store, work, diesMs, near }: Storm): Promise<Aftermath> {
  const clock = virtualClock()
  const shared = new WeatheredStore(clock, store)
  const runs: Run[] = []
  const events: Told[] = []
  const answered: Answered[] = []

  const processes = diesMs.map((diesAtMs = Infinity, process) => {
    const isDead = (): boolean => clock.now() >= diesAtMs
    const own = clockOf(clock, isDead)
    const seen = shared.seenBy(isDead)
    const handle = async (request: Request): Promise<Response> => {
      const number = runs.length
      const job = work[number % work.length]
      if (job === undefined) throw new Error('a storm without work')
      const { fence, key = '' } = idempotencyOf(request)
      const place = Number(request.headers.get('x-place'))
      const body = await request.text()
      const run: Run = {
        number,
        asked: place,
        key,
        body,
        process,
        fence,
        startMs: clock.now(),
        work: job,
        endMs: undefined,
      }
      runs.push(run)
      if (job.began) idempotencyOf(request).began()
      const perform = async (effects?: number[]): Promise<Response> => {
        await new Promise<void>((resolve) => void own.schedule(resolve, job.takesMs))
        run.endMs = clock.now()
        effects?.push(number)
        if (job.gives === 'throws') throw new Error(THREW)
        return new Response(`run ${number}`, { status: job.gives })
      }
      return job.inTransaction ? idempotencyOf(request).transaction(perform) : perform()
    }
    const protect = idempotency({
      ...options,
      store: near[process] === true ? nearCache(seen, { clock: own }) : seen,
      clock: own,
      onEvent: (event) => void events.push({ process, atMs: clock.now(), event }),
    })
    return { isDead, handle: protect(handle) }
  })
  const ask = async (one: Asked, place: number): Promise<void> => {
    const process = processes[one.process]
    if (process === undefined || process.isDead()) return
    const answer = await answeredBy(process.handle, one, place, clock)
    if (!process.isDead()) answered.push(answer)
  }
  asked.forEach((one, place) => clock.schedule(() => void ask(one, place), one.startMs))
  await clock.runAll()
  return {
    answered,
    runs,
    events,
    deeds: shared.deeds,
    effects: shared.effects,
    wasFaulty: shared.wasFaulty,
    endMs: clock.now(),
    ask(key, body) {
      const anew = idempotency({ ...options, store: shared.calm, clock })(() => new Response(ANEW))
      return answeredBy(anew, { ...CALM, key, body }, -1, clock)
    },
  }
}

const THREW = 'it threw'
const ANEW = 'run anew'
const CALM = { startMs: 0, process: 0, preferWaitS: undefined, leavesAfterMs: undefined }
