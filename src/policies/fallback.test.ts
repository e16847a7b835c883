import { describe, expect, test, vi } from 'vitest'
import { watch } from '../../test/support/operations.ts'
import { CircuitOpenError, TimeoutError } from '../errors.ts'
import type { HoldfastEvent } from '../events.ts'
import { pipeline } from '../pipeline.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { fallback, type FailureInfo } from './fallback.ts'

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
    await expect(pipeline(fallback<string>(() => undefined)).execute(fail)).rejects.toBe(down)
  })

  test.each([
    ['exhausted', down],
    ['circuit-open', new CircuitOpenError('key', 1)],
    ['timeout', new TimeoutError('ERR_TOTAL_TIMEOUT', 'late', 1)],
    ['timeout', new TimeoutError('ERR_ATTEMPT_TIMEOUT', 'late', 1)],
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
    for (const thrown of [Object.freeze(new Error('frozen')), 'just a string']) {
      await expect(pipeline(fallback<string>(() => Promise.reject(thrown))).execute(fail)).rejects.toBe(
        thrown,
      )
    }
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

  test('refuses what is no function', () => {
    expect(() => fallback({ respond: 'static' as unknown as () => string })).toThrow(
      'fallback.respond should be a function, got "static"',
    )
  })
})
