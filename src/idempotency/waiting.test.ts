import { getEventListeners } from 'node:events'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { memoryStore } from '../stores/memory.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { Claim } from './claim.ts'
import { resolveOptions, type Settings } from './options.ts'
import { WaitingRooms } from './waiting.ts'
import {
  idempotency,
  type IdempotencyEvent,
  type IdempotencyOptions,
  type IdempotencyStore,
} from './index.ts'

type Handler = () => Response | Promise<Response>

/** Two processes over one store; the first one's handler ends when it is told. */
function setup(options: Partial<IdempotencyOptions> = {}) {
  const clock = virtualClock()
  const inner = memoryStore({ clock })
  const state = { acquires: 0 }
  const store: IdempotencyStore = {
    name: 'counting',
    acquire(request) {
      state.acquires++
      return inner.acquire(request)
    },
    heartbeat: (lease) => inner.heartbeat(lease),
    complete: (lease, response) => inner.complete(lease, response),
    release: (lease) => inner.release(lease),
    read: (lease) => inner.read(lease),
  }
  const events: IdempotencyEvent[] = []
  const onEvent = (event: IdempotencyEvent): void => void events.push(event)
  const process = (handler: Handler) =>
    idempotency({ store, clock, inFlight: 'wait', onEvent, ...options })(handler)
  let end = (_: Response): void => {}
  const first = process(() => new Promise<Response>((resolve) => (end = resolve)))
  const second = process(() => new Response('second'))
  const ask = (headers: Record<string, string> = {}, signal?: AbortSignal) =>
    new Request('https://a.test/', {
      method: 'POST',
      headers: { 'idempotency-key': 'k', ...headers },
      ...(signal === undefined ? {} : { signal }),
    })
  return Object.assign(state, {
    clock,
    events,
    first,
    second,
    ask,
    store,
    end: (response: Response) => end(response),
  })
}

describe('a duplicate that waits', () => {
  test('for another process asks the store, less and less often', async () => {
    const service = setup()
    const { clock, first, second, ask, end } = service
    const running = first(ask())
    await clock.settle()
    service.acquires = 0
    const waiting = second(ask())
    await clock.advance(10_000)
    // At once, then at 50, 150, 350, 750, 1550, and once a second.
    expect(service.acquires).toBe(6 + 8)
    end(new Response('first', { status: 201 }))
    await running
    await clock.advance(1000)
    expect(await (await waiting).text()).toBe('first')
    expect(clock.pending).toBe(0)
  })

  test('with ninety-nine others in one process costs the store no more than one', async () => {
    const service = setup()
    const { clock, first, second, ask, end } = service
    const running = first(ask())
    await clock.settle()
    const waiting = Array.from({ length: 100 }, () => second(ask()))
    await clock.settle()
    service.acquires = 0
    await clock.advance(10_000)
    expect(service.acquires).toBe(5 + 8)
    end(new Response('first', { status: 201 }))
    await running
    await clock.advance(1000)
    for (const reply of await Promise.all(waiting)) expect(await reply.text()).toBe('first')
    expect(clock.pending).toBe(0)
  })

  test('in the same process is woken with the response, and does not ask the store again', async () => {
    const service = setup()
    const { clock, first, ask, end } = service
    const running = first(ask())
    await clock.settle()
    const waiting = [first(ask()), first(ask())]
    await clock.settle()
    service.acquires = 0
    end(new Response('first', { status: 201 }))
    for (const reply of [await running, ...(await Promise.all(waiting))])
      expect(await reply.text()).toBe('first')
    expect(service.acquires).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('goes on asking when the one that asked has left', async () => {
    const { clock, first, second, ask, end } = setup()
    const running = first(ask())
    await clock.settle()
    const client = new AbortController()
    const left = second(ask({}, client.signal))
    await clock.settle()
    const staying = second(ask())
    await clock.settle()
    client.abort()
    expect((await left).status).toBe(409)
    end(new Response('first', { status: 201 }))
    await running
    await clock.advance(1000)
    expect(await (await staying).text()).toBe('first')
    expect(clock.pending).toBe(0)
  })

  test('takes over what was abandoned meanwhile where that is the policy', async () => {
    const { clock, first, second, ask, store } = setup({ abandoned: 'takeover', leaseMs: 1000 })
    Object.assign(store, { heartbeat: () => Promise.reject(new Error('away')) })
    void first(ask())
    await clock.settle()
    const waiting = second(ask())
    await clock.advance(1000)
    expect(await (await waiting).text()).toBe('second')
  })

  test('learns that the store went away', async () => {
    const { clock, first, second, ask, store, events } = setup()
    void first(ask())
    await clock.settle()
    const waiting = second(ask())
    await clock.settle()
    Object.assign(store, { acquire: () => Promise.reject(new Error('away')) })
    await clock.advance(3000)
    expect((await waiting).status).toBe(503)
    expect(events).toContainEqual(expect.objectContaining({ type: 'waited', ending: 'failed' }))
  })

  test('of a client that has left already does not begin', async () => {
    const { clock, first, second, ask, events } = setup()
    void first(ask())
    await clock.settle()
    const client = new AbortController()
    const request = ask({}, client.signal)
    client.abort()
    expect((await second(request)).status).toBe(409)
    expect(events).toContainEqual(expect.objectContaining({ type: 'waited', ending: 'gone', durationMs: 0 }))
  })

  test('for the time it was given and no longer is told that the first one runs still', async () => {
    const { clock, first, second, ask, events } = setup()
    void first(ask())
    await clock.settle()
    const waiting = second(ask({ prefer: 'wait=2' }))
    await clock.advance(1999)
    expect(endings(events)).toEqual([])
    await clock.advance(1)
    expect((await waiting).status).toBe(409)
    expect(endings(events)).toEqual(['timed-out'])
  })

  test('looks once more when its time is over', async () => {
    const { clock, first, second, ask, events, end } = setup()
    const running = first(ask())
    await clock.settle()
    // The last turns of the one that asks are at 1550 and 2550 ms.
    const waiting = [second(ask()), second(ask({ prefer: 'wait=2' }))]
    await clock.advance(1600)
    end(new Response('first', { status: 201 }))
    await running
    await clock.advance(399)
    expect(endings(events)).toEqual([])
    await clock.advance(1)
    for (const reply of await Promise.all(waiting)) expect(await reply.text()).toBe('first')
    expect(endings(events)).toEqual(['answered', 'answered'])
    expect(clock.pending).toBe(0)
  })

  test('is told that the first one runs still where that look fails', async () => {
    const { clock, first, second, ask, store, events } = setup()
    void first(ask())
    await clock.settle()
    const waiting = second(ask({ prefer: 'wait=2' }))
    await clock.advance(1600)
    Object.assign(store, { acquire: () => Promise.reject(new Error('away')) })
    await clock.advance(400 + 2000)
    expect((await waiting).status).toBe(409)
    expect(endings(events)).toEqual(['timed-out'])
  })

  test('is one of as many as may wait for a key, the next one is sent away at once', async () => {
    const { clock, first, second, ask, events, end } = setup({ maxWaitersPerKey: 2 })
    const running = first(ask())
    await clock.settle()
    const waiting = [second(ask()), second(ask())]
    await clock.settle()
    expect((await second(ask())).status).toBe(409)
    expect(endings(events)).toEqual(['crowded'])
    end(new Response('first', { status: 201 }))
    await running
    await clock.advance(1000)
    for (const reply of await Promise.all(waiting)) expect(await reply.text()).toBe('first')
  })

  test('in the same process is woken although another one has left', async () => {
    const service = setup()
    const { clock, first, ask, end } = service
    const running = first(ask())
    await clock.settle()
    const client = new AbortController()
    const left = first(ask({}, client.signal))
    const staying = first(ask())
    await clock.settle()
    client.abort()
    await left
    service.acquires = 0
    end(new Response('first', { status: 201 }))
    await running
    expect(await (await staying).text()).toBe('first')
    expect(service.acquires).toBe(0)
  })

  test('listens to its client no longer once it was told', async () => {
    const { clock, first, second, ask, end } = setup()
    const running = first(ask())
    await clock.settle()
    const request = ask({}, new AbortController().signal)
    const before = getEventListeners(request.signal, 'abort').length
    const waiting = second(request)
    await clock.settle()
    expect(getEventListeners(request.signal, 'abort')).toHaveLength(before + 1)
    end(new Response('first', { status: 201 }))
    await running
    await clock.advance(1000)
    await waiting
    expect(getEventListeners(request.signal, 'abort')).toHaveLength(before)
  })

  describe('while it asks the store', () => {
    /** One that waits in the process of the first, whose question the store has got and not answered. */
    async function asking() {
      const service = setup()
      const { clock, first, ask, store } = service
      const running = first(ask())
      await clock.settle()
      const client = new AbortController()
      const waiting = first(ask({ prefer: 'wait=1' }, client.signal))
      await clock.settle()
      const { promise: answered, resolve: answer } = withResolvers()
      Object.assign(store, { acquire: () => answered.then(() => ({ type: 'busy', retryAfterMs: 1 })) })
      await clock.advance(50)
      return { ...service, running, waiting, leave: () => client.abort(), answer }
    }

    test('hears of the response, and does not wait for its next turn', async () => {
      const { clock, end, running, waiting, answer } = await asking()
      end(new Response('first', { status: 201 }))
      await running
      answer()
      await clock.settle()
      expect(await (await waiting).text()).toBe('first')
      expect(clock.pending).toBe(0)
    })

    test('hears of the response at the last moment, too', async () => {
      const { clock, end, running, waiting, answer, store } = await asking()
      answer()
      const { promise: answered, resolve: answerAgain } = withResolvers()
      await clock.advance(900)
      Object.assign(store, { acquire: () => answered.then(() => ({ type: 'busy', retryAfterMs: 1 })) })
      await clock.advance(50)
      end(new Response('first', { status: 201 }))
      await running
      answerAgain()
      expect(await (await waiting).text()).toBe('first')
    })

    test('hears that its client has left, which counts although its time has passed since', async () => {
      const { clock, waiting, answer, leave, events } = await asking()
      leave()
      await clock.advance(1000)
      answer()
      await clock.advance(1000)
      expect((await waiting).status).toBe(409)
      expect(endings(events)).toEqual(['gone'])
    })
  })
})

const endings = (events: readonly IdempotencyEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'waited' ? [event.ending] : []))

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((onResolve) => (resolve = onResolve))
  return { promise, resolve: () => resolve() }
}

test('each of those who wait gets bytes of its own', async () => {
  const settings = { clock: virtualClock(), maxWaitersPerKey: 2 } as Partial<Settings> as Settings
  const claim = { fingerprint: 'f' } as Partial<Claim> as Claim
  const rooms = new WaitingRooms(settings)
  const waiting = [rooms.wait(claim, 1000, undefined), rooms.wait(claim, 1000, undefined)]
  const recorded = Uint8Array.of(1, 2)
  rooms.wake('f', recorded)
  const bytes = (await Promise.all(waiting)).map((waited) =>
    waited.type === 'told' && waited.result.type === 'done' ? waited.result.response : undefined,
  )
  expect(bytes).toEqual([recorded, recorded])
  expect(new Set([recorded, ...bytes]).size).toBe(3)
})

describe('on workers, where no request may call back into another one', () => {
  afterEach(() => void vi.unstubAllGlobals())

  test('each duplicate looks for itself, and is told when its own timer is due', async () => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
    const service = setup()
    const { clock, first, ask, end } = service
    const running = first(ask())
    await clock.settle()
    const told: number[] = []
    const waiting = [0, 1].map(async () => {
      const response = await first(ask())
      told.push(clock.now())
      return response.text()
    })
    await clock.settle()
    service.acquires = 0
    await clock.advance(60)
    expect(service.acquires).toBe(2)
    end(new Response('first', { status: 201 }))
    await running
    await clock.settle()
    expect(told).toEqual([])
    const sinceMs = clock.now()
    await clock.advance(90)
    expect(told.map((atMs) => atMs - sinceMs)).toEqual([90, 90])
    expect(await Promise.all(waiting)).toEqual(['first', 'first'])
    expect(clock.pending).toBe(0)
  })

  test('a request that has ended keeps its place for no longer than it would have waited', async () => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
    const clock = virtualClock()
    let ended = true
    const store = memoryStore({ clock })
    const settings = resolveOptions({
      store,
      maxWaitersPerKey: 1,
      clock: {
        now: () => clock.now(),
        wallNow: () => clock.wallNow(),
        // What has ended has no timers.
        schedule: (...timer) => (ended ? { cancel() {} } : clock.schedule(...timer)),
      },
    })
    const claims = [0, 1, 2, 3].map(
      () =>
        new Claim(
          settings,
          { method: 'POST', path: '/', key: 'k' },
          { scope: 's', key: 'k', fingerprint: 'f' },
        ),
    )
    const [owner, gone, refused, next] = claims as [Claim, Claim, Claim, Claim]
    const rooms = new WaitingRooms(settings)
    void owner.acquire()
    void rooms.wait(gone, 1000, undefined)
    ended = false
    await clock.advance(999)
    expect(await rooms.wait(refused, 1000, undefined)).toEqual({ type: 'crowded' })
    await clock.advance(1)
    const waiting = rooms.wait(next, 1000, undefined)
    await clock.advance(1000)
    expect(await waiting).toEqual({ type: 'timed-out' })
  })
})
