/** The caller's abort of what goes through the interceptor, in every undici that this Node can load. */
import type { Dispatcher } from 'undici'
import { describe, expect, test } from 'vitest'
import { httpCache } from '../../../src/cache/index.ts'
import type { Policy } from '../../../src/index.ts'
import { endless, hang, status } from '../../../src/testing/index.ts'
import { testClock } from '../../client/support/clock.ts'
import { expectNoUnhandledRejections } from '../../client/support/unhandled.ts'
import { deferred } from '../../support/operations.ts'
import { failureOf, tick, until } from '../../client/support/wait.ts'
import { bench, typesOf, type Bench } from './support.ts'
import { versions } from './versions.ts'

expectNoUnhandledRejections()

describe.each(versions)('$name', ({ undici }) => {
  test.each(['request', 'fetch'] as const)('of %s ends a backoff at once', async (api) => {
    const clock = testClock()
    const { api: server, dispatcher, events } = await bench(undici, { faults: () => status(503) }, { clock })
    const controller = new AbortController()
    const reason = new Error('enough')
    const { signal } = controller
    const work =
      api === 'request'
        ? undici.request(server.url, { dispatcher, signal })
        : undici.fetch(server.url, { dispatcher, signal })
    const failure = failureOf(work)
    await until(() => clock.wakeInMs !== undefined)
    controller.abort(reason)
    expect(await failure).toBe(reason)
    await until(() => clock.wakeInMs === undefined)
    expect(server.requests).toHaveLength(1)
    expect(typesOf(events)).not.toContain('give-up')
  })

  test('is told at once, where a policy of the caller never ends', async () => {
    const stuck: Policy<Response> = { name: 'stuck', wrap: () => () => new Promise(() => {}) }
    const { api, dispatcher } = await bench(undici, {}, { policies: [stuck], timeout: false })
    const controller = new AbortController()
    const failure = failureOf(undici.request(api.url, { dispatcher, signal: controller.signal }))
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await failure).toBe(reason)
  })

  describe('at the start', () => {
    /** What the handler is told from then on. */
    const toldAfterAbort = (dispatcher: Pick<Bench['dispatcher'], 'dispatch'>): unknown[] => {
      const told: unknown[] = []
      dispatcher.dispatch(
        { origin: 'http://a.test', path: '/', method: 'GET' },
        {
          onRequestStart: (controller) => controller.abort(new Error('enough')),
          onResponseStart: () => void told.push('head'),
          onResponseError: (_controller, error) => void told.push(error.message),
        },
      )
      return told
    }

    test('is told once', async () => {
      const { dispatcher, events } = await bench(undici, {})
      const told = toldAfterAbort(dispatcher)
      await until(() => typesOf(events).includes('call-end'))
      await tick()
      expect(told).toEqual(['enough'])
    })

    test('asks no policy of the caller’s', async () => {
      let asked = 0
      const own: Policy<Response> = { name: 'own', wrap: (next) => (context) => (asked++, next(context)) }
      const { dispatcher, events } = await bench(undici, {}, { policies: [own] })
      toldAfterAbort(dispatcher)
      await until(() => typesOf(events).includes('call-end'))
      expect(asked).toBe(0)
    })
  })

  describe.each([{}, { cache: httpCache() }])('of what is all here already, %j', (options) => {
    /** What a handler is told that has enough of it at its head, or at its first bytes. */
    const toldBy = async (form: 'old' | 'new', place: 'head' | 'data'): Promise<string[]> => {
      // It comes in one piece.
      const { api, dispatcher } = await bench(undici, { faults: [status(404, { body: 'x' })] }, options)
      return new Promise((resolve) => {
        const told: string[] = []
        const at = (event: string, abort: (reason: Error) => void): boolean => {
          told.push(event)
          if (event === place) abort(new Error('enough'))
          return event !== place
        }
        const ended = (event: string): void => {
          told.push(event)
          setImmediate(resolve, told)
        }
        let abort: (reason: Error) => void
        const old = {
          onConnect: (own: typeof abort) => void (abort = own),
          onHeaders: () => at('head', abort),
          onData: () => at('data', abort),
          onComplete: () => ended('end'),
          onError: (error: Error) => ended(error.message),
        }
        const handler: Dispatcher.DispatchHandler = {
          onRequestStart() {},
          onResponseStart: (controller) => void at('head', (reason) => controller.abort(reason)),
          onResponseData: (controller) => void at('data', (reason) => controller.abort(reason)),
          onResponseEnd: () => ended('end'),
          onResponseError: (_controller, error) => ended(error.message),
        }
        const request = { origin: api.url, path: '/', method: 'GET' } as const
        dispatcher.dispatch(request, form === 'old' ? old : handler)
      })
    }

    test.each(['old', 'new'] as const)('is told once to a handler of the %s form', async (form) => {
      expect(await toldBy(form, 'head')).toEqual(['head', 'enough'])
      expect(await toldBy(form, 'data')).toEqual(['head', 'data', 'enough'])
    })
  })

  test('ends what a policy of the caller answers with nevertheless', async () => {
    const response = new Response('late')
    const answer = deferred<Response>()
    const late: Policy<Response> = {
      name: 'late',
      wrap:
        <T extends Response>() =>
        () =>
          answer.promise as Promise<T>,
    }
    const { api, dispatcher } = await bench(undici, {}, { policies: [late], timeout: false })
    const controller = new AbortController()
    const failure = failureOf(undici.request(api.url, { dispatcher, signal: controller.signal }))
    controller.abort(new Error('enough'))
    answer.resolve(response)
    await until(() => response.bodyUsed)
    expect(await failure).toEqual(new Error('enough'))
  })

  test('ends an attempt that hangs', async () => {
    const { api, dispatcher } = await bench(undici, { faults: () => hang() })
    const controller = new AbortController()
    const failure = failureOf(undici.request(api.url, { dispatcher, signal: controller.signal }))
    await until(() => api.requests.length === 1)
    controller.abort()
    expect(await failure).toMatchObject({ name: 'AbortError' })
    await until(() => api.requests[0]?.outcome === 'cut')
    expect(api.requests).toHaveLength(1)
  })

  test('ends a body that is being read', async () => {
    const { api, dispatcher } = await bench(undici, { faults: [endless({ body: 'x', intervalMs: 1 })] })
    const controller = new AbortController()
    const { body } = await undici.request(api.url, { dispatcher, signal: controller.signal })
    const failure = failureOf(body.text())
    controller.abort()
    expect(await failure).toMatchObject({ name: 'AbortError' })
    await until(() => api.requests[0]?.outcome === 'cut')
  })
})
