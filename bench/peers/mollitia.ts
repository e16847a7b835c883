import {
  BreakerState,
  Bulkhead,
  Circuit,
  Retry,
  RetryMode,
  SlidingCountBreaker,
  SlidingTimeBreaker,
  Timeout,
  type CircuitFunction,
  type Module,
} from 'mollitia'
import {
  clientsOf,
  refused,
  subjectsOf,
  type Ability,
  type Exchange,
  type Peer,
  type Prepared,
  type Ready,
  type Subject,
} from '../harness/subject.ts'
import {
  BASE_DELAY_MS,
  FAILURE_RATE,
  FOREVER_MS,
  MAX_CONCURRENT,
  MAX_DELAY_MS,
  MAX_QUEUED,
  MINIMUM_CALLS,
  OPEN_MS,
  RETRIES,
  throwing,
  TIMEOUT_MS,
  WINDOW_MS,
} from './settings.ts'

const retry = (): Module =>
  new Retry({
    attempts: RETRIES,
    interval: BASE_DELAY_MS,
    mode: RetryMode.JITTER,
    maxInterval: MAX_DELAY_MS,
  })

const breakerOptions = {
  minimumNumberOfCalls: MINIMUM_CALLS,
  failureRateThreshold: FAILURE_RATE * 100,
  openStateDelay: OPEN_MS,
}
/** With its own window of ten calls; that of time goes through all calls of the window for each, which no benchmark of calls outlives. */
const breaker = (): Module => new SlidingCountBreaker(breakerOptions)
/** Ten calls are too few to go through an outage with: of those that fail by three in ten, five in ten do soon. */
const timeBreaker = (): Module => new SlidingTimeBreaker({ ...breakerOptions, slidingWindowSize: WINDOW_MS })
const openBreaker = (): Module =>
  new SlidingCountBreaker({ ...breakerOptions, state: BreakerState.OPENED, openStateDelay: FOREVER_MS })

const timeout = (): Module => new Timeout({ delay: TIMEOUT_MS })

function circuit(func: CircuitFunction, modules: Module[]): Circuit {
  return new Circuit({ func, options: { modules } })
}

function prepared(made: Circuit): Prepared {
  return { run: () => made.execute(), close: () => made.dispose() }
}

const subject = subjectsOf<Ready>('mollitia')
const policy = (name: string, has: readonly Ability[], modules: () => Module[]): Subject<Ready> =>
  subject(name, has, (ready) => prepared(circuit(ready, modules())))

const everything = (): Module[] => [retry(), breaker(), timeout()]

const client = (name: string, modules: () => Module[]): Subject<Exchange> =>
  clientsOf('mollitia')(name, ['retry', 'breaker', 'timeout'], (transport) => {
    const send = (url: string, init?: RequestInit): Promise<Response> => throwing(transport(url, init))
    const made = circuit(send, modules())
    return (url, init) => made.execute(url, init)
  })

export const mollitia: Peer = {
  policies: [
    policy('retry', ['retry'], () => [retry()]),
    policy('count breaker', ['breaker'], () => [breaker()]),
    policy('timeout', ['timeout'], () => [timeout()]),
    policy('bulkhead', ['bulkhead'], () => [
      new Bulkhead({ concurrentSize: MAX_CONCURRENT, queueSize: MAX_QUEUED }),
    ]),
    policy('retry + breaker + timeout', ['retry', 'breaker', 'timeout'], everything),
  ],
  refusals: [
    subject('open breaker', ['refuses'], (ready) => {
      const { run, close } = prepared(circuit(ready, [openBreaker()]))
      return { run: refused(run), ...(close === undefined ? {} : { close }) }
    }),
  ],
  clients: [client('retry + breaker + timeout', everything)],
  inOutages: client('retry + time breaker + timeout', () => [retry(), timeBreaker(), timeout()]),
}
