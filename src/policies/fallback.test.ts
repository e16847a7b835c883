import { describe, expect, test, vi } from 'vitest'
import { deferred, watch } from '../../test/support/operations.ts'
import { CircuitOpenError, HoldfastError, TimeoutError } from '../primitives/errors.ts'
import { BulkheadFullError, RateLimitedError, ThrottledError } from '../primitives/refusals.ts'
import type { HoldfastEvent } from '../core/events.ts'
import { pipeline } from '../core/pipeline.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { fallback, type FailureInfo, type FallbackOptions } from './fallback.ts'

const down = new Error('down')
const fail = async (): Promise<string> => {
  throw down
}

describe('fallback', () => {
  test('answers instead of a failure', async () => {
    expect(await pipeline(fallback(() => 'substitute')).execute(fail)).toBe('substitute')
  })

  test('stays out of the way of a success', async () => {
    const respond = vi.fn<() => string>()
    expect(await pipeline(fallback(respond)).execute(async () => 'fresh')).toBe('fresh')
    expect(respond).not.toHaveBeenCalled()
  })

  test('undefined lets the failure stand', async () => {
    const onEvent = vi.fn<(event: HoldfastEvent) => void>()
    const policy = fallback<string>({ respond: () => undefined, onEvent })
    await expect(pipeline(policy).execute(fail)).rejects.toBe(down)
    expect(onEvent).not.toHaveBeenCalled()
  })

  test.each([
    ['exhausted', down],
    ['circuit-open', new CircuitOpenError('key', 1)],
    ['timeout', new TimeoutError('ERR_TOTAL_TIMEOUT', 'late', 1)],
    ['timeout', new TimeoutError('ERR_ATTEMPT_TIMEOUT', 'late', 1)],
    ['timeout', new TimeoutError('ERR_BODY_IDLE_TIMEOUT', 'late', 1)],
    ['bulkhead', new BulkheadFullError('key', 'full')],
    ['throttled', new ThrottledError('key', 'throttled')],
    ['rate-limited', new RateLimitedError('key', 1)],
    ['exhausted', Object.assign(new Error('of somebody else'), { code: 'ERR_CIRCUIT_OPEN' })],
    ['exhausted', new HoldfastError('ERR_INVALID_OPTION', 'wrong')],
  ] as const)('says that the reason is %s', async (reason, error) => {
    const failures: FailureInfo<string>[] = []
    const events: HoldfastEvent[] = []
    const policy = fallback<string>({
      respond(failure) {
        failures.push(failure)
        return 'substitute'
      },
      onEvent: (event) => events.push(event),
    })
    await pipeline(policy).execute(() => {
      throw error
    })
    expect(failures).toEqual([{ reason, outcome: { ok: false, error } }])
    expect(events).toEqual([{ type: 'fallback', reason }])
  })

  test('what it throws is surfaced, with the original failure as the cause', async () => {
    const broken = new Error('no cache either')
    await expect(
      pipeline(
        fallback<string>(() => {
          throw broken
        }),
      ).execute(fail),
    ).rejects.toBe(broken)
    expect(broken.cause).toBe(down)
  })

  test('what it throws may be frozen, or no error at all', async () => {
    const noError = { status: 500 }
    for (const thrown of [Object.freeze(new Error('frozen')), 'just a string', noError]) {
      await expect(pipeline(fallback<string>(() => Promise.reject(thrown))).execute(fail)).rejects.toBe(
        thrown,
      )
    }
    expect(noError).toEqual({ status: 500 })
  })

  test('what it throws keeps the cause it has', async () => {
    const broken = new Error('no cache either', { cause: 'disk' })
    await expect(pipeline(fallback<string>(() => Promise.reject(broken))).execute(fail)).rejects.toBe(broken)
    expect(broken.cause).toBe('disk')
  })

  test('a result can be a failure, and is discarded for the substitute', async () => {
    const discard = vi.fn<(value: string) => void>()
    const policy = fallback<string>({
      respond: async () => 'substitute',
      isFailure: ({ ok }) => ok,
      discard,
    })
    expect(await pipeline(policy).execute(async () => 'bad')).toBe('substitute')
    expect(discard.mock.calls).toEqual([['bad']])
  })

  test('discards neither what it gives back itself, nor where there is only an error', async () => {
    const discard = vi.fn<(value: string) => void>()
    const policy = fallback<string>({
      respond: ({ outcome }) => (outcome.ok ? outcome.value : 'substitute'),
      isFailure: () => true,
      discard,
    })
    expect(await pipeline(policy).execute(async () => 'bad')).toBe('bad')
    expect(await pipeline(policy).execute(fail)).toBe('substitute')
    expect(discard).not.toHaveBeenCalled()
  })

  test('what it throws lets a result go, since nobody will read it; an error there is nothing of', async () => {
    const discard = vi.fn<(value: string) => void>()
    const broken = new Error('no cache either')
    const respond = (): Promise<never> => Promise.reject(broken)
    const policy = fallback<string>({ respond, isFailure: () => true, discard })
    await expect(pipeline(policy).execute(async () => 'bad')).rejects.toBe(broken)
    await expect(pipeline(policy).execute(fail)).rejects.toBe(broken)
    expect(discard.mock.calls).toEqual([['bad']])
    const without = pipeline(fallback<string>({ respond, isFailure: () => true }))
    await expect(without.execute(async () => 'bad')).rejects.toBe(broken)
  })

  test('a substitute that comes when the caller has left has answered nobody', async () => {
    const clock = virtualClock()
    const onEvent = vi.fn<(event: HoldfastEvent) => void>()
    const substitute = deferred<string>()
    const controller = new AbortController()
    const policy = fallback<string>({ respond: () => substitute.promise, onEvent })
    const result = watch(pipeline(policy).execute(fail, { signal: controller.signal }))
    await clock.settle()
    controller.abort('left')
    substitute.resolve('substitute')
    await clock.settle()
    expect(result.error).toBe('left')
    expect(onEvent).not.toHaveBeenCalled()
  })

  test('a result that is a failure needs no discard', async () => {
    const policy = fallback<string>({ respond: () => 'substitute', isFailure: ({ ok }) => ok })
    expect(await pipeline(policy).execute(async () => 'bad')).toBe('substitute')
  })

  test("never answers the caller's own abort", async () => {
    const clock = virtualClock()
    const respond = vi.fn<() => string>()
    const controller = new AbortController()
    const result = watch(
      pipeline(fallback(respond)).execute(
        ({ signal }) =>
          new Promise<string>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        { signal: controller.signal },
      ),
    )
    controller.abort('left')
    await clock.settle()
    expect(result.error).toBe('left')
    expect(respond).not.toHaveBeenCalled()
  })

  test('refuses what it does not know', () => {
    const options = { respond: () => '', when: 1 } as FallbackOptions<string>
    expect(() => fallback(options)).toThrow('fallback has no option "when"; it has respond, isFailure')
    expect(fallback(() => '').name).toBe('fallback')
  })

  test('refuses what is no function', () => {
    expect(() => fallback('static' as unknown as () => string)).toThrow(
      'fallback should be a function, or { respond }, got "static"',
    )
    expect(() => fallback({ respond: 'static' as unknown as () => string })).toThrow(
      'fallback.respond should be a function, got "static"',
    )
  })
})
