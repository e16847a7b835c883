import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  createFetch,
  isHoldfastError,
  outcomeOf,
  TimeoutError,
  type FetchOptions,
  type HoldfastEvent,
  type Transport,
} from '../../src/index.ts'
import {
  endless,
  faultServer,
  hang,
  ok,
  reset,
  stall,
  status,
  times,
  type Fault,
  type FaultServerOptions,
} from '../../src/testing/index.ts'
import { deferred, watch } from '../support/operations.ts'
import { stoppedClock } from '../support/stopped-clock.ts'
import { testClock } from './support/clock.ts'
import { expectNoUnhandledRejections } from './support/unhandled.ts'
import { failureOf, finish, until } from './support/wait.ts'

expectNoUnhandledRejections()

async function bench(
  options: FetchOptions,
  faults: readonly (Fault | Fault[])[],
  more: FaultServerOptions = {},
) {
  const clock = testClock()
  const events: HoldfastEvent[] = []
  const server = await faultServer({ ...more, ...(faults.length > 0 ? { faults } : {}) })
  onTestFinished(() => server.close())
  const fetch = createFetch({ clock, random: () => 0.5, onEvent: (event) => events.push(event), ...options })
  const arrived = (count: number): Promise<void> => until(() => server.requests.length === count)
  const timeouts = (): unknown[] => events.filter(({ type }) => type === 'timeout')
  return { clock, server, fetch, arrived, timeouts }
}

/** A body in the test's hands. */
function handBody() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  const cancel = vi.fn<(reason: unknown) => void>()
  const body = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own), cancel })
  return {
    body,
    cancel,
    write: (text: string) => controller?.enqueue(new TextEncoder().encode(text)),
    end: () => controller?.close(),
  }
}

const textOf = async (read: Promise<ReadableStreamReadResult<Uint8Array>> | undefined): Promise<string> =>
  new TextDecoder().decode((await read)?.value)

const never: Transport = () => new Promise(() => {})

describe('the attempt timeout', () => {
  test('ends an attempt without an answer after 30 s, and the next one follows', async () => {
    const { clock, server, fetch, arrived } = await bench({}, [hang()])
    const work = fetch(server.url)
    await arrived(1)
    await clock.advance(29_999)
    expect(clock.sleeps).toEqual([])
    await clock.advance(1)
    expect(clock.sleeps).toEqual([1000])
    expect((await finish(clock, work)).status).toBe(200)
  })

  test('frees the socket of the attempt', async () => {
    const { clock, server, fetch, arrived } = await bench({}, [hang()])
    const work = fetch(server.url)
    await arrived(1)
    await clock.advance(30_000)
    await until(() => server.requests[0]?.outcome === 'cut')
    await finish(clock, work)
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(['cut', 'answered'])
  })

  test('the last one is thrown as it is', async () => {
    const { clock, server, fetch, arrived } = await bench({ retry: false, timeout: { attemptMs: 700 } }, [
      hang(),
    ])
    const work = failureOf(fetch(server.url, { method: 'POST' }))
    await arrived(1)
    await clock.advance(700)
    const error = await work
    expect(error).toBeInstanceOf(TimeoutError)
    expect(isHoldfastError(error)).toBe(true)
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'ERR_ATTEMPT_TIMEOUT', timeoutMs: 700 })
    expect(outcomeOf(error)).toMatchObject({ attempts: 1, uncertain: true })
  })

  test('a read that timed out leaves nothing uncertain', async () => {
    const { clock, server, fetch, arrived } = await bench({ retry: false }, [hang()])
    const work = failureOf(fetch(server.url))
    await arrived(1)
    await clock.advance(30_000)
    expect(outcomeOf(await work)).toMatchObject({ uncertain: false })
  })

  test('each attempt has all of it, the waits between are not counted', async () => {
    const { clock, server, fetch, arrived } = await bench({ timeout: { attemptMs: 500, totalMs: false } }, [
      times(2, hang()),
    ])
    const work = fetch(server.url)
    await arrived(1)
    await clock.advance(500)
    await clock.advance(1000)
    await arrived(2)
    await clock.advance(499)
    expect(clock.sleeps).toEqual([1000])
    await clock.advance(1)
    expect(clock.sleeps).toEqual([1000, 2000])
    expect((await finish(clock, work)).status).toBe(200)
  })

  test('each attempt has an AbortController of its own', async () => {
    const clock = testClock()
    const signals: AbortSignal[] = []
    const transport: Transport = (_, init) => {
      if (init?.signal) signals.push(init.signal)
      return signals.length === 1 ? new Promise(() => {}) : Promise.resolve(new Response())
    }
    const work = createFetch({ clock, fetch: transport })('http://x.test/')
    await clock.advance(30_000)
    await finish(clock, work)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    expect(signals[0]).not.toBe(signals[1])
    expect(signals[0]?.reason).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
  })

  test('a transport that ignores the signal is left behind, and its late answer discarded', async () => {
    const clock = testClock()
    const late = deferred<Response>()
    const { body, cancel } = handBody()
    const fetch = createFetch({ clock, retry: false, fetch: () => late.promise })
    const work = failureOf(fetch('http://x.test/'))
    await clock.advance(30_000)
    expect(await work).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT' })
    late.resolve(new Response(body))
    await clock.settle()
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('a transport that fails late harms nobody', async () => {
    const clock = testClock()
    const late = deferred<Response>()
    const work = failureOf(createFetch({ clock, retry: false, fetch: () => late.promise })('http://x.test/'))
    await clock.advance(30_000)
    await work
    late.reject(new Error('late'))
    await clock.settle()
    expect(clock.pending).toBe(0)
  })

  test('is told by an event', async () => {
    const { clock, server, fetch, arrived, timeouts } = await bench({ retry: false }, [hang()])
    const work = failureOf(fetch(server.url))
    await arrived(1)
    await clock.advance(30_000)
    await work
    expect(timeouts()).toMatchObject([{ kind: 'attempt', timeoutMs: 30_000 }])
  })
})

describe('a body that takes its time', () => {
  test('is cut neither by attemptMs nor by totalMs', async () => {
    const { body, write, end } = handBody()
    const { clock, server, fetch } = await bench({}, [], { handler: () => new Response(body) })
    write('one ')
    const response = await fetch(server.url)
    expect(clock.pending).toBe(0)
    await clock.advance(3_600_000)
    write('two')
    end()
    expect(await response.text()).toBe('one two')
  })

  test('bodyIdleMs: a silence that is longer breaks it', async () => {
    const { clock, server, fetch, timeouts } = await bench(
      { timeout: { bodyIdleMs: 2000 } },
      [stall({ afterBytes: 3 })],
      { handler: () => new Response('abcdef') },
    )
    const response = await fetch(server.url)
    const reader = response.body?.getReader()
    expect(await textOf(reader?.read())).toBe('abc')
    const read = failureOf(reader?.read() ?? Promise.resolve())
    await clock.advance(1999)
    expect(timeouts()).toEqual([])
    await clock.advance(1)
    const error = await read
    expect(error).toBeInstanceOf(TimeoutError)
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'ERR_BODY_IDLE_TIMEOUT', timeoutMs: 2000 })
    expect(timeouts()).toMatchObject([{ kind: 'body-idle', timeoutMs: 2000, call: { method: 'GET' } }])
    await until(() => server.requests[0]?.outcome === 'cut')
  })

  test('bodyIdleMs: shorter silences do not add up', async () => {
    const { body, write, end } = handBody()
    const { clock, server, fetch } = await bench({ timeout: { bodyIdleMs: 2000 } }, [], {
      handler: () => new Response(body),
    })
    write('0')
    const reader = (await fetch(server.url)).body?.getReader()
    expect(await textOf(reader?.read())).toBe('0')
    for (const piece of '12345') {
      const read = textOf(reader?.read())
      await clock.advance(1900)
      write(piece)
      // However long the bytes take over the loopback, the next silence begins after them.
      expect(await read).toBe(piece)
    }
    end()
    expect((await reader?.read())?.done).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('bodyIdleMs: a slow reader is no idle body', async () => {
    const { clock, server, fetch } = await bench({ timeout: { bodyIdleMs: 2000 } }, [
      endless({ body: 'x', intervalMs: 1 }),
    ])
    const response = await fetch(server.url)
    await clock.advance(60_000)
    const reader = response.body?.getReader()
    expect((await reader?.read())?.done).toBe(false)
    await clock.advance(60_000)
    expect((await reader?.read())?.done).toBe(false)
    await reader?.cancel()
    await until(() => server.requests[0]?.outcome === 'cut')
    expect(clock.pending).toBe(0)
  })

  test('bodyIdleMs: while nobody reads, nothing is idle', async () => {
    const { clock, server, fetch, timeouts } = await bench({ timeout: { bodyIdleMs: 2000 } }, [
      stall({ afterBytes: 0 }),
    ])
    const response = await fetch(server.url)
    await clock.advance(60_000)
    expect(timeouts()).toEqual([])
    expect(server.requests[0]?.outcome).toBe('pending')
    const text = failureOf(response.text())
    await clock.advance(2000)
    expect(await text).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
  })

  test('bodyIdleMs: the response is otherwise the platform’s', async () => {
    const { server, fetch } = await bench({ timeout: { bodyIdleMs: 2000 } }, [], {
      listener(request, response) {
        if (request.url === '/a') response.writeHead(302, { location: '/b' }).end()
        else response.writeHead(201, 'Made', { 'x-a': '1' }).end('body')
      },
    })
    const response = await fetch(`${server.url}/a`)
    expect(response).toBeInstanceOf(Response)
    expect(response).toMatchObject({
      status: 201,
      statusText: 'Made',
      ok: true,
      url: `${server.url}/b`,
      redirected: true,
      type: 'basic',
    })
    expect(response.headers.get('x-a')).toBe('1')
    expect(await response.text()).toBe('body')
    expect(outcomeOf(response)).toMatchObject({ attempts: 1 })
  })

  test('bodyIdleMs: a response without a body is left as it is', async () => {
    const response = new Response(null, { status: 204 })
    const fetch = createFetch({ timeout: { bodyIdleMs: 5 }, fetch: async () => response })
    expect(await fetch('http://x.test/')).toBe(response)
  })

  test('bodyIdleMs is no failure of the circuit: the headers have settled it', async () => {
    const { clock, server, fetch } = await bench(
      { timeout: { bodyIdleMs: 2000 }, circuitBreaker: { minimumCalls: 1 } },
      [stall({ afterBytes: 0 })],
    )
    const text = failureOf((await fetch(server.url)).text())
    await clock.advance(2000)
    expect(await text).toMatchObject({ code: 'ERR_BODY_IDLE_TIMEOUT' })
    expect(fetch.circuits.get(server.url).state).toBe('closed')
  })
})

describe('the total timeout', () => {
  test('covers attempts and waits, and names the last failure as its cause: a response', async () => {
    const { clock, server, fetch, arrived, timeouts } = await bench({ timeout: { totalMs: 5000 } }, [
      status(503),
      hang(),
    ])
    const work = failureOf(fetch(server.url, { method: 'PUT' }))
    await until(() => clock.sleeps.length === 1)
    await clock.advance(1000)
    await arrived(2)
    await clock.advance(4000)
    const error = await work
    expect(error).toMatchObject({ name: 'TimeoutError', code: 'ERR_TOTAL_TIMEOUT', timeoutMs: 5000 })
    expect((error as Error).cause).toMatchObject({ status: 503 })
    expect(outcomeOf(error)).toMatchObject({ attempts: 2, uncertain: true, delaysMs: [1000] })
    expect(timeouts()).toMatchObject([{ kind: 'total', timeoutMs: 5000 }])
    await until(() => server.requests[1]?.outcome === 'cut')
  })

  test('an error as the cause', async () => {
    const { clock, server, fetch, arrived } = await bench({ timeout: { totalMs: 5000 } }, [reset(), hang()])
    const work = failureOf(fetch(server.url))
    await until(() => clock.sleeps.length === 1)
    await clock.advance(1000)
    await arrived(2)
    await clock.advance(4000)
    expect(((await work) as Error).cause).toBeInstanceOf(TypeError)
  })

  test('without a failure before, without a cause', async () => {
    const { clock, server, fetch, arrived } = await bench({ timeout: { totalMs: 5000 } }, [hang()])
    const work = failureOf(fetch(server.url))
    await arrived(1)
    await clock.advance(5000)
    expect(((await work) as Error).cause).toBeUndefined()
  })

  test.each([1000, 900])('wins over an attempt timeout that would end no earlier: %d ms', async (totalMs) => {
    const { clock, server, fetch, arrived, timeouts } = await bench(
      { timeout: { attemptMs: 1000, totalMs } },
      [hang()],
    )
    const work = failureOf(fetch(server.url))
    await arrived(1)
    expect(clock.pendingDelaysMs).toEqual([totalMs])
    await clock.advance(totalMs)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(timeouts()).toHaveLength(1)
  })

  test('is a failure of the service at once where no attempt has a timeout of its own', async () => {
    const clock = testClock()
    const fetch = createFetch({
      clock,
      timeout: { totalMs: 1000, attemptMs: false },
      circuitBreaker: { minimumCalls: 1 },
      fetch: never,
    })
    const work = failureOf(fetch('http://x.test/'))
    await clock.advance(1000)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(fetch.circuits.get('http://x.test').state).toBe('open')
  })

  test('a transport that ignores the signal does not hold it up', async () => {
    const clock = testClock()
    const work = failureOf(
      createFetch({ clock, timeout: { attemptMs: false }, fetch: never })('http://x.test/'),
    )
    await clock.advance(120_000)
    expect(await work).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', timeoutMs: 120_000 })
    expect(clock.pending).toBe(0)
  })

  test('a late answer after it is discarded', async () => {
    const clock = testClock()
    const late = deferred<Response>()
    const { body, cancel } = handBody()
    const fetch = createFetch({ clock, timeout: { totalMs: 10 }, fetch: () => late.promise })
    const work = failureOf(fetch('http://x.test/'))
    await clock.advance(10)
    await work
    late.resolve(new Response(body))
    await clock.settle()
    expect(cancel).toHaveBeenCalledOnce()
  })

  test('no wait is begun that it would cut short: the last response comes at once', async () => {
    const { clock, server, fetch } = await bench({ timeout: { totalMs: 1000 } }, [
      status(503, { body: 'whole' }),
    ])
    const response = await fetch(server.url)
    expect(await response.text()).toBe('whole')
    expect(clock.sleeps).toEqual([])
  })

  test('a process that is stopped in a backoff sends nothing when it wakes too late', async () => {
    const clock = stoppedClock()
    const statuses = [503, 503]
    const send = vi.fn<Transport>(async () => new Response(null, { status: statuses.shift() ?? 201 }))
    const fetch = createFetch({ clock, fetch: send, retry: { jitter: 'none' }, timeout: { totalMs: 10_000 } })
    const post = (): Promise<Response> => fetch('http://x.test/', { method: 'POST' })

    const inTime = post()
    await clock.advance(0)
    await clock.stop(2999)
    await clock.advance(2000)
    expect(outcomeOf(await inTime)).toMatchObject({ attempts: 3 })

    statuses.push(503)
    const late = watch(post())
    await clock.advance(0)
    await clock.stop(10_000)
    expect(late.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT', cause: { status: 503 } })
    expect(outcomeOf(late.error)).toMatchObject({ attempts: 1 })
    await clock.advance(60_000)
    expect(send).toHaveBeenCalledTimes(4)
  })

  test('a total timeout counts against the circuit', async () => {
    const { clock, server, fetch, arrived } = await bench(
      { timeout: { totalMs: 500 }, circuitBreaker: { minimumCalls: 1 } },
      [hang()],
    )
    const work = failureOf(fetch(server.url))
    await arrived(1)
    await clock.advance(500)
    await work
    await until(() => fetch.circuits.get(server.url).state === 'open')
    expect(fetch.circuits.get(server.url).state).toBe('open')
  })

  test('covers a hook that never ends', async () => {
    const { clock, server, fetch } = await bench({ beforeAttempt: () => new Promise(() => {}) }, [ok()])
    const work = failureOf(fetch(server.url))
    await clock.advance(120_000)
    expect(isHoldfastError(await work)).toBe(true)
    expect(server.requests).toHaveLength(0)
  })
})

describe('settings', () => {
  test.each([
    ['timeout: false', { timeout: false }],
    ['both off', { timeout: { attemptMs: false, totalMs: false } }],
  ] as const)('%s: no timer', async (_, options) => {
    const { clock, server, fetch, arrived } = await bench(options, [hang()])
    const controller = new AbortController()
    const work = failureOf(fetch(server.url, { signal: controller.signal }))
    await arrived(1)
    expect(clock.pending).toBe(0)
    controller.abort()
    await work
  })

  test('no timer and no randomness before the first call', () => {
    const clock = testClock()
    const random = vi.fn<() => number>(() => 0.5)
    createFetch({ clock, random })
    expect(clock.pending).toBe(0)
    expect(random).not.toHaveBeenCalled()
  })

  test('nothing is left on the clock after a call', async () => {
    const { clock, server, fetch } = await bench({}, [status(503), reset()])
    await (await finish(clock, fetch(server.url))).text()
    expect(clock.pending).toBe(0)
  })

  test('a single call can have others', async () => {
    const { clock, server, fetch, arrived } = await bench({ retry: false }, [hang()])
    const work = failureOf(fetch(server.url, { holdfast: { timeout: { attemptMs: 7 } } }))
    await arrived(1)
    await clock.advance(7)
    expect(await work).toMatchObject({ code: 'ERR_ATTEMPT_TIMEOUT', timeoutMs: 7 })
  })

  test('two calls at once do not disturb each other', async () => {
    const { clock, server, fetch, arrived } = await bench({ retry: false }, [hang(), hang()])
    const first = watch(fetch(server.url, { holdfast: { timeout: { attemptMs: 100 } } }))
    const second = watch(fetch(server.url, { holdfast: { timeout: { attemptMs: 200 } } }))
    await arrived(2)
    await clock.advance(100)
    await until(() => first.settled)
    expect(second.settled).toBe(false)
    await clock.advance(100)
    await until(() => second.settled)
    expect(second.error).toMatchObject({ timeoutMs: 200 })
  })
})
