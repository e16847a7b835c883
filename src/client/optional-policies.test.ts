import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { deferred } from '../../test/support/operations.ts'
import { failureOf } from '../../test/client/support/wait.ts'
import { virtualClock } from '../testing/index.ts'
import { haveAllCode } from './all-code.ts'
import { createFetch } from './create-fetch.ts'
import * as extras from './extras.ts'
import { EXTRAS } from './optional-policies.ts'
import type { FetchOptions, Transport } from './options.ts'

const PARTS: readonly [string, FetchOptions][] = [
  ['bodyIdle', { timeout: { bodyIdleMs: 1000 } }],
  ['bulkhead', { bulkhead: {} }],
  ['coalesce', { coalesce: true }],
  ['hedge', { hedge: {} }],
  ['parking', { circuitBreaker: { whenOpen: 'wait' } }],
  ['resumeBody', { retry: { resumeBody: true } }],
]

const hanging = new Promise<never>(() => {})

function forgetAll(): void {
  EXTRAS.loaded = undefined
}

const isLoaded = (): boolean => EXTRAS.loaded !== undefined

afterEach(haveAllCode)

describe('code of what is off by default', () => {
  test('is not loaded by a call with the defaults, nor by making a fetch', async () => {
    forgetAll()
    for (const [, options] of PARTS) createFetch(options)
    await createFetch({ fetch: async () => new Response() })('http://x.test/')
    expect(isLoaded()).toBe(false)
  })

  test.each(PARTS)('%s comes with the first call, which waits for it', async (_, options) => {
    forgetAll()
    const fetch = createFetch({ ...options, fetch: async () => new Response('body') })
    expect(await (await fetch('http://x.test/')).text()).toBe('body')
    expect(isLoaded()).toBe(true)
  })

  test('first calls that come together meet in one policy', async () => {
    forgetAll()
    let sent = 0
    const send = async (): Promise<Response> => new Response(`${++sent}`)
    const joined = createFetch({ coalesce: true, fetch: send })
    const answers = await Promise.all([joined('http://x.test/'), joined('http://x.test/')])
    expect(await Promise.all(answers.map((each) => each.text()))).toEqual(['1', '1'])

    const narrow = createFetch({ bulkhead: { maxConcurrent: 1, maxQueued: 0 }, fetch: send })
    const ends = await Promise.allSettled([narrow('http://x.test/'), narrow('http://x.test/')])
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(ends[1]).toMatchObject({ reason: { code: 'ERR_BULKHEAD_FULL' } })
  })

  test.each(PARTS)(
    '%s: where it can not be loaded, calls go without, but for a limit',
    async (part, options) => {
      forgetAll()
      const load = vi.spyOn(EXTRAS, 'load').mockRejectedValue(new TypeError('no such chunk'))
      onTestFinished(() => load.mockRestore())
      const headers = { etag: '"a"', 'content-length': '4' }
      const fetch = createFetch({ fetch: async () => new Response('body', { headers }), ...options }).with({
        retry: { maxRetries: part === 'resumeBody' ? 1 : 0 },
      })
      const text = fetch('http://x.test/').then((response) => response.text())
      if (part === 'bulkhead') await expect(text).rejects.toThrow('no such chunk')
      else expect(await text).toBe('body')
      expect(load).toHaveBeenCalledOnce()
    },
  )

  test('an open circuit rejects where the code to wait at it can not be loaded', async () => {
    forgetAll()
    const load = vi.spyOn(EXTRAS, 'load').mockRejectedValue(new TypeError('no such chunk'))
    onTestFinished(() => load.mockRestore())
    const fetch = createFetch({ circuitBreaker: { whenOpen: 'wait' }, fetch: async () => new Response() })
    fetch.circuits.get('http://x.test').isolate()
    await expect(fetch('http://x.test/')).rejects.toMatchObject({ code: 'ERR_CIRCUIT_OPEN' })
  })

  test('a watch over bodies that can not be loaded stands in the way of no fallback, nor of a response', async () => {
    forgetAll()
    const load = vi.spyOn(EXTRAS, 'load').mockRejectedValue(new TypeError('offline'))
    onTestFinished(() => load.mockRestore())
    const send = vi.fn<Transport>().mockRejectedValueOnce(new TypeError('offline'))
    const fetch = createFetch({
      fetch: send.mockResolvedValue(new Response('network')),
      retry: false,
      timeout: { bodyIdleMs: 1000 },
      fallback: () => new Response('substitute'),
    })
    expect(await (await fetch('http://x.test/')).text()).toBe('substitute')
    expect(load).not.toHaveBeenCalled()
    expect(await (await fetch('http://x.test/')).text()).toBe('network')
    expect(load).toHaveBeenCalledOnce()
  })

  test('a watch over bodies whose code hangs holds back no response for longer than its own time', async () => {
    const clock = virtualClock()
    forgetAll()
    const load = vi.spyOn(EXTRAS, 'load').mockReturnValue(hanging)
    onTestFinished(() => load.mockRestore())
    const fetch = createFetch({
      clock,
      timeout: { bodyIdleMs: 1000 },
      fetch: async () => new Response('network'),
    })
    const response = fetch('http://x.test/')
    await clock.advance(999)
    expect(await Promise.race([response, Promise.resolve('waits')])).toBe('waits')
    await clock.advance(1)
    expect(await (await response).text()).toBe('network')
  })

  test('the total timeout ends a call to be resumed whose code hangs', async () => {
    const clock = virtualClock()
    forgetAll()
    const load = vi.spyOn(EXTRAS, 'load').mockReturnValue(hanging)
    onTestFinished(() => load.mockRestore())
    const fetch = createFetch({
      clock,
      retry: { resumeBody: true },
      timeout: { totalMs: 1000 },
      fetch: async () => new Response('network'),
    })
    const failure = failureOf(fetch('http://x.test/'))
    await clock.advance(1000)
    expect(await failure).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
  })

  test('the total timeout ends a call whose code hangs, and holds for what is left of a later one', async () => {
    const clock = virtualClock()
    forgetAll()
    const code = deferred<typeof extras>()
    const load = vi.spyOn(EXTRAS, 'load').mockReturnValue(code.promise)
    onTestFinished(() => load.mockRestore())
    const fetch = createFetch({ clock, coalesce: true, timeout: { totalMs: 1000 }, fetch: () => hanging })
    const first = failureOf(fetch('http://x.test/'))
    await clock.advance(600)
    const second = failureOf(fetch('http://x.test/'))
    await clock.advance(400)
    expect(await first).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    code.resolve(extras)
    await clock.advance(599)
    expect(await Promise.race([second, Promise.resolve('waits')])).toBe('waits')
    await clock.advance(1)
    expect(await second).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(clock.pending).toBe(0)
  })

  test('a body that is no stream, as on React Native, is left as it is', async () => {
    const headers = new Headers({ etag: '"a"', 'content-length': '4' })
    const answer = { status: 200, headers, url: 'http://x.test/', text: async () => 'body' } as Response
    for (const options of [{ timeout: { bodyIdleMs: 1000 } }, { retry: { resumeBody: true } }]) {
      expect(await createFetch({ ...options, fetch: async () => answer })('http://x.test/')).toBe(answer)
    }
  })
})
