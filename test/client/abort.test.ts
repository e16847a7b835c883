import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  createFetch,
  outcomeOf,
  type FetchOptions,
  type HoldfastFetch,
  type Transport,
} from '../../src/index.ts'
import {
  endless,
  faultServer,
  hang,
  ok,
  reset,
  status,
  times,
  type Fault,
  type FaultServerOptions,
} from '../../src/testing/index.ts'
import { deferred } from '../support/operations.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, tick, until } from './support/wait.ts'

expectNoUnhandledRejections()

/** Sends a piece of a body, and never the rest. */
const unending: FaultServerOptions = { listener: (_, response) => void response.write('x') }

async function bench(
  faults: readonly (Fault | Fault[])[] = [],
  options: FetchOptions = {},
  more: FaultServerOptions = {},
) {
  const clock = testClock()
  const server = await faultServer({ faults, ...more })
  onTestFinished(() => server.close())
  const fetch = createFetch({ clock, random: () => 0.5, ...options })
  const controller = new AbortController()
  const { signal } = controller
  const arrived = (count = 1): Promise<void> => until(() => server.requests.length === count)
  return { clock, server, fetch, controller, signal, arrived }
}

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

const REASONS: [string, unknown][] = [
  ['an Error', new Error('mine')],
  ['a frozen Error', Object.freeze(new Error('mine'))],
  ['a plain object', { mine: true }],
  ['null', null],
  ['a string', 'enough'],
  ['an empty string', ''],
  ['0', 0],
  ['false', false],
  ['a symbol', Symbol('mine')],
  ['an AbortError', new DOMException('mine', 'AbortError')],
  ['a TimeoutError', new DOMException('mine', 'TimeoutError')],
]

describe('the call rejects with the very reason', () => {
  test.each(REASONS)('aborted before: %s', async (_, reason) => {
    const { fetch, server } = await bench()
    expect(await failureOf(fetch(server.url, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    await tick()
    expect(server.requests).toHaveLength(0)
  })

  test.each(REASONS)('aborted during an attempt: %s', async (_, reason) => {
    const { fetch, server, controller, signal, arrived } = await bench([hang()])
    const work = failureOf(fetch(server.url, { signal }))
    await arrived()
    controller.abort(reason)
    expect(await work).toBe(reason)
    await until(() => server.requests[0]?.outcome === 'cut')
    expect(server.requests).toHaveLength(1)
    expect(listeners(signal)).toBe(0)
  })

  test.each(REASONS)('aborted during a backoff: %s', async (_, reason) => {
    const { fetch, server, controller, signal, clock } = await bench([times(9, status(503))])
    const work = failureOf(fetch(server.url, { signal }))
    await until(() => clock.sleeps.length === 1)
    controller.abort(reason)
    // No time passes.
    expect(await work).toBe(reason)
    expect(clock.pending).toBe(0)
    await clock.advance(600_000)
    expect(server.requests).toHaveLength(1)
    expect(listeners(signal)).toBe(0)
  })

  test.each(REASONS)('aborted while a transport ignores the signal: %s', async (_, reason) => {
    const { fetch, controller, signal, clock } = await bench([], { fetch: () => new Promise(() => {}) })
    const work = failureOf(fetch('http://x.test/', { signal }))
    await clock.settle()
    controller.abort(reason)
    expect(await work).toBe(reason)
    expect(listeners(signal)).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('without a reason: the platform’s own AbortError', async () => {
    const { fetch, server, controller, signal, arrived } = await bench([hang()])
    const work = failureOf(fetch(server.url, { signal }))
    await arrived()
    controller.abort()
    const error = await work
    expect(error).toBe(signal.reason)
    expect(error).toBeInstanceOf(DOMException)
    expect(error).toMatchObject({ name: 'AbortError' })
  })

  test('AbortSignal.timeout(): its TimeoutError, and no retry', async () => {
    const { fetch, server, clock } = await bench([hang()])
    const signal = AbortSignal.timeout(15)
    expect(await failureOf(fetch(server.url, { signal }))).toBe(signal.reason)
    expect(clock.sleeps).toEqual([])
  })

  test('of a Request’s own signal', async () => {
    const { fetch, server, controller, signal, arrived } = await bench([hang()])
    const reason = new Error('mine')
    const work = failureOf(fetch(new Request(server.url, { signal })))
    await arrived()
    controller.abort(reason)
    expect(await work).toBe(reason)
    await until(() => server.requests[0]?.outcome === 'cut')
  })

  test('init.signal goes before the Request’s, null takes it away', async () => {
    const { fetch, server } = await bench()
    const request = (): Request => new Request(server.url, { signal: AbortSignal.abort('request') })
    expect((await fetch(request(), { signal: null })).status).toBe(200)
    expect((await fetch(request(), { signal: new AbortController().signal })).status).toBe(200)
    expect(await failureOf(fetch(request(), { signal: AbortSignal.abort('init') }))).toBe('init')
  })

  test('a frozen or shared reason is left as it is: no outcome on it', async () => {
    const reason = new Error('mine')
    const { fetch, server, controller, signal, arrived } = await bench([hang()])
    const work = failureOf(fetch(server.url, { signal, method: 'POST' }))
    await arrived()
    controller.abort(reason)
    await work
    expect(outcomeOf(reason)).toBeUndefined()
    expect(new Set(Reflect.ownKeys(reason))).toEqual(new Set(['message', 'stack']))
  })

  test('what an aborted call took can be asked of its Request', async () => {
    const { fetch, server, controller, signal, arrived } = await bench([hang()])
    const request = new Request(server.url, { signal, method: 'POST' })
    const work = failureOf(fetch(request))
    await arrived()
    controller.abort()
    await work
    const idempotencyKey = server.requests[0]?.headers['idempotency-key']
    expect(outcomeOf(request)).toMatchObject({ attempts: 1, uncertain: true, idempotencyKey })
  })
})

describe('signals of older engines', () => {
  test('one without a reason gives an AbortError', async () => {
    const held = new Set<EventListenerObject>()
    const signal = {
      aborted: false,
      addEventListener: (_: string, listener: EventListenerObject) => held.add(listener),
      removeEventListener: (_: string, listener: EventListenerObject) => held.delete(listener),
    }
    const { fetch, clock } = await bench([], { fetch: () => new Promise(() => {}) })
    const work = failureOf(fetch('http://x.test/', { signal: signal as unknown as AbortSignal }))
    await clock.settle()
    signal.aborted = true
    for (const listener of held) listener.handleEvent(new Event('abort'))
    const error = await work
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(held.size).toBe(0)
  })
})

describe('after an abort nothing more happens', () => {
  test('a listener that aborts as the call starts: nothing is sent', async () => {
    const { server, controller, signal } = await bench()
    const fetch = createFetch({
      onEvent: ({ type }) => {
        if (type === 'call-start') controller.abort('mine')
      },
    })
    expect(await failureOf(fetch(server.url, { signal }))).toBe('mine')
    expect(server.requests).toHaveLength(0)
    expect(listeners(signal)).toBe(0)
  })

  test('a transport that aborts while it begins, and ignores its signal, holds nothing up', async () => {
    const told: string[] = []
    const { fetch, controller, signal, clock } = await bench([], {
      timeout: false,
      bulkhead: { maxConcurrent: 1, maxQueued: 0 },
      onEvent: ({ type }) => told.push(type),
      fetch: async () => {
        if (signal.aborted) return new Response('next')
        controller.abort('mine')
        return new Promise(() => {})
      },
    })
    expect(await failureOf(fetch('http://x.test/', { signal }))).toBe('mine')
    await clock.settle()
    expect(told.toSorted()).toEqual(['attempt-end', 'attempt-start', 'call-end', 'call-start'])
    expect(await (await fetch('http://x.test/')).text()).toBe('next')
  })

  test('a transport’s late answer may be no response', async () => {
    const late = deferred<Response>()
    const { fetch, controller, signal, clock } = await bench([], { fetch: () => late.promise })
    const failure = failureOf(fetch('http://x.test/', { signal }))
    await clock.settle()
    controller.abort(new Error('left'))
    expect(await failure).toMatchObject({ message: 'left' })
    late.resolve(undefined as unknown as Response)
    // An unhandled rejection would fail the file.
    await tick()
  })

  test('a transport’s late answer is discarded', async () => {
    const late = deferred<Response>()
    const cancel = vi.fn<() => void>()
    const { fetch, controller, signal, clock } = await bench([], { fetch: () => late.promise })
    const work = failureOf(fetch('http://x.test/', { signal }))
    await clock.settle()
    controller.abort()
    await work
    late.resolve(new Response(new ReadableStream({ cancel })))
    await clock.settle()
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('a transport’s late error is no retry and no unhandled rejection', async () => {
    const late = deferred<Response>()
    const transport = vi.fn<Transport>(() => late.promise)
    const { fetch, controller, signal, clock } = await bench([], { fetch: transport })
    const work = failureOf(fetch('http://x.test/', { signal }))
    await clock.settle()
    controller.abort()
    await work
    late.reject(new TypeError('late'))
    await clock.settle()
    expect(transport).toHaveBeenCalledOnce()
    expect(clock.pending).toBe(0)
  })

  test('while a hook runs, no attempt follows it', async () => {
    const gate = deferred()
    const transport = vi.fn<Transport>(async () => new Response())
    const { fetch, controller, signal, clock } = await bench([], {
      beforeAttempt: () => gate.promise,
      fetch: transport,
    })
    const work = failureOf(fetch('http://x.test/', { signal }))
    await clock.settle()
    controller.abort('mine')
    expect(await work).toBe('mine')
    gate.resolve()
    await clock.settle()
    expect(transport).not.toHaveBeenCalled()
  })

  test('while shouldRetry thinks, no attempt follows it', async () => {
    const gate = deferred<boolean>()
    const shouldRetry = vi.fn<() => Promise<boolean>>(() => gate.promise)
    const { fetch, server, controller, signal, clock } = await bench([status(503)], {
      retry: { shouldRetry },
    })
    const work = failureOf(fetch(server.url, { signal }))
    await until(() => shouldRetry.mock.calls.length === 1)
    controller.abort('mine')
    expect(await work).toBe('mine')
    gate.resolve(true)
    await clock.advance(60_000)
    await tick(10)
    expect(server.requests).toHaveLength(1)
  })

  test('the abort of a call that has ended changes nothing', async () => {
    const { fetch, server, controller, signal } = await bench()
    const response = await fetch(server.url, { signal })
    const text = await response.text()
    controller.abort()
    expect(text).toBe('{"ok":true}')
  })

  test('one call’s abort leaves another alone', async () => {
    const { fetch, server, controller, signal, arrived, clock } = await bench([times(2, status(503))])
    const work = failureOf(fetch(server.url, { signal }))
    const other = fetch(server.url)
    await arrived(2)
    controller.abort('mine')
    expect(await work).toBe('mine')
    expect((await finish(clock, other)).status).toBe(200)
  })

  test('it ends the attempt under way, not one before or after', async () => {
    const signals: AbortSignal[] = []
    const { fetch, controller, signal, clock } = await bench([], {
      fetch(_, init) {
        if (init?.signal) signals.push(init.signal)
        return signals.length === 1 ? Promise.reject(new Error('down')) : new Promise(() => {})
      },
    })
    const work = failureOf(fetch('http://x.test/', { signal }))
    await clock.advance(1000)
    controller.abort('mine')
    await work
    expect(signals.map(({ aborted, reason }) => [aborted, reason as unknown])).toEqual([
      [expect.any(Boolean), signals[0]?.reason],
      [true, 'mine'],
    ])
    expect(signals[0]).not.toBe(signals[1])
    expect(signals).not.toContain(signal)
  })
})

describe('after the headers', () => {
  test('the abort breaks the body with the very reason', async () => {
    const { fetch, server, controller, signal } = await bench([endless({ intervalMs: 2 })])
    const reason = new Error('mine')
    const response = await fetch(server.url, { signal })
    const text = failureOf(response.text())
    controller.abort(reason)
    expect(await text).toBe(reason)
    await until(() => server.requests[0]?.outcome === 'cut')
  })

  test('also after retries', async () => {
    const { fetch, server, controller, signal, clock } = await bench([reset(), endless({ intervalMs: 2 })])
    const response = await finish(clock, fetch(server.url, { signal }))
    const text = failureOf(response.text())
    controller.abort('mine')
    await text
    await until(() => server.requests[1]?.outcome === 'cut')
    expect(server.requests).toHaveLength(2)
  })

  test('also where bodyIdleMs watches it', async () => {
    const { fetch, server, controller, signal, clock } = await bench([endless({ intervalMs: 2 })], {
      timeout: { bodyIdleMs: 1000 },
    })
    const response = await fetch(server.url, { signal })
    const reason = new Error('mine')
    const text = failureOf(response.text())
    controller.abort(reason)
    expect(await text).toBe(reason)
    await until(() => clock.pending === 0)
    await until(() => server.requests[0]?.outcome === 'cut')
  })

  test('also of a clone', async () => {
    const { fetch, server, controller, signal } = await bench([endless({ intervalMs: 2 })])
    const response = await fetch(server.url, { signal })
    const texts = [failureOf(response.clone().text()), failureOf(response.text())]
    const reason = new Error('mine')
    controller.abort(reason)
    expect(await Promise.all(texts)).toEqual([reason, reason])
  })
})

/** Node's own collector, made callable. */
function gcNow(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** Collects, and lets finalizers run. */
async function collect(): Promise<void> {
  const gc = gcNow()
  for (let round = 0; round < 4; round++) {
    gc()
    await tick(5)
  }
}

/** Starts reading `count` endless bodies on one signal; only the readers' promises are kept. */
async function stream(count: number, fetch: HoldfastFetch, url: string, signal: AbortSignal) {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const response = await fetch(url, { signal })
      // Wrapped: a promise would be waited for.
      return { ended: failureOf(response.text()) }
    }),
  )
}

describe('many calls on one signal', () => {
  test('responses that nobody reads are collected while the signal lives', { timeout: 30_000 }, async () => {
    await using server = await faultServer({ handler: () => new Response('x'.repeat(1000)) })
    const { signal } = new AbortController()
    const fetch = createFetch()
    const forgotten = await Promise.all(
      Array.from({ length: 20 }, async () => new WeakRef(await fetch(server.url, { signal }))),
    )
    const isHeld = (each: WeakRef<Response>): boolean => each.deref() !== undefined
    for (let round = 0; round < 20 && forgotten.some(isHeld); round++) await collect()
    expect(forgotten.filter(isHeld)).toHaveLength(0)
    expect(signal.aborted).toBe(false)
  })

  test(
    'a response that a listener on its signal knows goes with that signal',
    { timeout: 30_000 },
    async () => {
      await using server = await faultServer({ handler: () => new Response('x'.repeat(1000)) })
      const fetch = createFetch()
      const read = async (): Promise<WeakRef<Response>> => {
        const { signal } = new AbortController()
        const response = await fetch(server.url, { signal })
        signal.addEventListener('abort', () => void response.body?.cancel())
        await response.text()
        return new WeakRef(response)
      }
      const forgotten = await Promise.all(Array.from({ length: 20 }, read))
      const isHeld = (each: WeakRef<Response>): boolean => each.deref() !== undefined
      for (let round = 0; round < 20 && forgotten.some(isHeld); round++) await collect()
      expect(forgotten.filter(isHeld)).toHaveLength(0)
    },
  )

  test(
    '200 calls at once leave at most one listener, and none when all are done',
    { timeout: 30_000 },
    async () => {
      const { fetch, server, signal, arrived, controller } = await bench([times(200, hang())])
      const work = Array.from({ length: 200 }, () => failureOf(fetch(server.url, { signal })))
      await arrived(200)
      expect(listeners(signal)).toBe(1)
      const reason = new Error('mine')
      controller.abort(reason)
      expect(new Set(await Promise.all(work))).toEqual(new Set([reason]))
      expect(listeners(signal)).toBe(0)
      await until(() => server.requests.every(({ outcome }) => outcome === 'cut'))
    },
  )

  test('200 calls in a row leave nothing', async () => {
    const { fetch, signal } = await bench([], { fetch: async () => new Response(null, { status: 204 }) })
    for (let call = 0; call < 200; call++) {
      await fetch('http://x.test/', { signal })
      expect(listeners(signal)).toBe(0)
    }
  })

  test('failed calls leave nothing', async () => {
    const { fetch, signal } = await bench([], {
      retry: false,
      circuitBreaker: false,
      fetch: () => Promise.reject(new TypeError('down')),
    })
    for (let call = 0; call < 20; call++) await failureOf(fetch('http://x.test/', { signal }))
    expect(listeners(signal)).toBe(0)
  })

  test('what the transport is given is no dependant of the caller’s signal', async () => {
    const given: (AbortSignal | null | undefined)[] = []
    const { fetch, signal } = await bench([], {
      fetch: async (_, init) => (given.push(init?.signal), new Response(null, { status: 204 })),
    })
    await fetch('http://x.test/', { signal })
    expect(given[0]).not.toBe(signal)
    const dependants = Object.getOwnPropertySymbols(signal).find((name) =>
      String(name).includes('kDependantSignals'),
    )
    expect(
      dependants === undefined ? 0 : ((Reflect.get(signal, dependants) as Set<unknown> | null)?.size ?? 0),
    ).toBe(0)
  })

  test(
    '200 streaming bodies: one listener, and the abort ends all of them',
    { timeout: 30_000 },
    async () => {
      const { fetch, server, signal, controller } = await bench([], {}, unending)
      const bodies = await stream(200, fetch, server.url, signal)
      expect(listeners(signal)).toBe(1)
      const reason = new Error('mine')
      controller.abort(reason)
      const errors = await Promise.all(bodies.map(({ ended }) => ended))
      expect(errors.every((error) => error === reason)).toBe(true)
      expect(listeners(signal)).toBe(0)
      await until(() => server.requests.every(({ outcome }) => outcome === 'cut'))
    },
  )

  test('also after a collection of garbage', { timeout: 30_000 }, async () => {
    const { fetch, server, signal, controller } = await bench([], {}, unending)
    const bodies = await stream(200, fetch, server.url, signal)
    await collect()
    expect(listeners(signal)).toBe(1)
    const reason = new Error('mine')
    controller.abort(reason)
    const errors = await Promise.all(bodies.map(({ ended }) => ended))
    expect(errors.every((error) => error === reason)).toBe(true)
    await until(() => server.requests.every(({ outcome }) => outcome === 'cut'))
  })

  test('bodies that were read and forgotten leave no listener once they are collected', async () => {
    const { fetch, server, signal } = await bench([ok(), ok(), ok()])
    const readAll = async (): Promise<void> => {
      for (let call = 0; call < 3; call++) await (await fetch(server.url, { signal })).text()
    }
    await readAll()
    expect(listeners(signal)).toBeLessThanOrEqual(1)
    for (let round = 0; round < 50 && listeners(signal) > 0; round++) await collect()
    expect(listeners(signal)).toBe(0)
  })

  test('a signal can be used again after everything on it has ended', async () => {
    const { fetch, server, signal, controller, arrived } = await bench([status(204, { body: '' }), hang()])
    await fetch(server.url, { signal })
    const work = failureOf(fetch(server.url, { signal }))
    await arrived(2)
    expect(listeners(signal)).toBe(1)
    controller.abort('mine')
    expect(await work).toBe('mine')
  })
})
