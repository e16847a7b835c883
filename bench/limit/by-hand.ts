/**
 * Where the limit lies: what a good call has to do, written out in one piece, with nothing for a bad one. No policy, no
 * retry, no other transport, no error: only what cannot be left out while all is well. Nothing that does the same can
 * take less; what a library takes beyond it is the price of its parts, and of being ready.
 */
import { clientsOf, subjectsOf, type Exchange, type Ready, type Subject } from '../harness/subject.ts'

const NAME = 'by hand, for good calls only'

/** One that is armed already waits for all: that is the least that a timeout takes. */
class Deadlines {
  #dueMs = Infinity

  add(dueMs: number): void {
    if (dueMs < this.#dueMs) this.#dueMs = dueMs
  }
}

/** A window's successes, by tenths of 30 s. */
class Counts {
  readonly #buckets = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

  add(nowMs: number): void {
    const place = Math.floor(nowMs / 3000) % 10
    this.#buckets[place] = (this.#buckets[place] ?? 0) + 1
  }
}

/** When it began, for its timeouts; that it was good, for the window and the budget. */
class Health {
  readonly #deadlines = new Deadlines()
  readonly #counts = new Counts()
  #tokens = 10

  began(): void {
    const nowMs = performance.now()
    this.#deadlines.add(nowMs + 120_000)
    this.#deadlines.add(nowMs + 30_000)
  }

  wasGood(): void {
    this.#counts.add(performance.now())
    this.#tokens = Math.min(10, this.#tokens + 0.1)
  }
}

/** Around a function: a breaker that counts in a window of time. */
export const breakerByHand: Subject<Ready> = subjectsOf<Ready>('none')(
  'breaker by hand, for good calls only',
  [],
  (ready) => {
    const counts = new Counts()
    return () =>
      new Promise((resolve, reject) => {
        ready().then((value) => {
          counts.add(performance.now())
          return resolve(value)
        }, reject)
      })
  },
)

/** Around a function: the whole default pipeline. */
export const pipelineByHand: Subject<Ready> = subjectsOf<Ready>('none')(NAME, [], (ready) => {
  const health = new Health()
  return () =>
    new Promise((resolve, reject) => {
      health.began()
      ready().then((value) => {
        health.wasGood()
        return resolve(value)
      }, reject)
    })
})

/** A signal that is made when somebody looks: on Node 20 an `AbortController` takes more than all the rest. */
const reading: ProxyHandler<RequestInit> = {
  get: (init, name) =>
    name === 'signal' ? new AbortController().signal : (Reflect.get(init, name) as unknown),
}

/** A note on the response, for `outcomeOf()`: the least it takes, less than a `WeakMap`. */
// oxlint-disable-next-line typescript/no-extraneous-class -- only a constructor can do this
class Returned {
  constructor(target: object) {
    return target
  }
}
class Noted extends Returned {
  readonly #outcome: object

  constructor(target: object, outcome: object) {
    super(target)
    this.#outcome = outcome
  }

  static outcomeOf(response: Response): object | undefined {
    return #outcome in response ? response.#outcome : undefined
  }
}

const isWrite = (method: string | undefined): boolean => method !== undefined && method !== 'GET'

/** Around a transport: `createFetch()`. */
export const fetchByHand: Subject<Exchange> = clientsOf('none')(NAME, [], (transport) => {
  const health = new Health()
  const origins = new Map<string, Health>([['https://api.example.com', health]])
  return (url, given) =>
    new Promise<Response>((resolve, reject) => {
      const circuit = url.slice(0, url.indexOf('/', 8))
      const own = origins.get(circuit) ?? health
      const init: RequestInit = Object.assign({ signal: null }, given)
      const idempotencyKey = isWrite(given?.method) ? crypto.randomUUID() : undefined
      if (idempotencyKey !== undefined)
        init.headers = { 'Idempotency-Key': idempotencyKey, ...(given?.headers as Record<string, string>) }
      own.began()
      transport(url, new Proxy(init, reading)).then((response) => {
        if (response.status < 400) own.wasGood()
        // oxlint-disable-next-line no-new -- the note is on `response`
        new Noted(response, { attempts: 1, circuit, idempotencyKey })
        return resolve(response)
      }, reject)
    })
})
