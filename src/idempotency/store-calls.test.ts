import { describe, expect, test } from 'vitest'
import { virtualClock } from '../testing/virtual-clock.ts'
import { StoreTimeoutError } from '../primitives/within.ts'
import { withTimeout, withRetries } from './store-calls.ts'

const never = (): Promise<never> => new Promise(() => {})

describe('a bounded call', () => {
  test('gives its result, and leaves no timer', async () => {
    const clock = virtualClock()
    await expect(withTimeout(clock, 100, async () => 'x')).resolves.toBe('x')
    expect(clock.pending).toBe(0)
  })

  test('rejects when its time is over, and what comes later is dropped', async () => {
    const clock = virtualClock()
    let fail: (error: Error) => void = () => {}
    const late = withTimeout(clock, 100, () => new Promise((_, reject) => (fail = reject)))
    const error = late.catch((error: unknown) => error)
    await clock.advance(100)
    expect(await error).toBeInstanceOf(StoreTimeoutError)
    fail(new Error('too late'))
    await clock.settle()
  })

  test('tells whole milliseconds', async () => {
    const clock = virtualClock()
    const late = withTimeout(clock, 477.72993199999837, never).catch(String)
    await clock.advance(478)
    expect(await late).toBe('StoreTimeoutError: the store did not answer within 478 ms')
  })

  test('turns a throw into a rejection', async () => {
    const failing = withTimeout(virtualClock(), 100, () => {
      throw new Error('at once')
    })
    await expect(failing).rejects.toThrow('at once')
  })
})

describe('a persistent call', () => {
  test('tries again until it succeeds', async () => {
    const clock = virtualClock()
    const errors: unknown[] = []
    let left = 3
    const call = withRetries(
      clock,
      2000,
      async () => {
        if (left-- > 0) throw new Error(`${left} left`)
        return 'done'
      },
      (error) => errors.push(String(error)),
    )
    await clock.advance(20 + 40 + 80)
    await expect(call).resolves.toBe('done')
    expect(errors).toEqual(['Error: 2 left', 'Error: 1 left', 'Error: 0 left'])
  })

  test('gives up when its time is over, with the last error', async () => {
    const clock = virtualClock()
    let tries = 0
    const call = withRetries(
      clock,
      1000,
      async () => {
        throw new Error(`try ${++tries}`)
      },
      () => {},
    )
    const error = call.catch(String)
    await clock.advance(1000)
    expect(await error).toBe('Error: try 7')
    // 0, 20, 60, 140, 300, 550, 800 ms
    expect(tries).toBe(7)
    expect(clock.pending).toBe(0)
  })

  test('gives one attempt half of the time, so that there is a second one', async () => {
    const clock = virtualClock()
    let tries = 0
    const call = withRetries(
      clock,
      1000,
      () => (++tries === 1 ? never() : Promise.resolve('second')),
      () => {},
    )
    await clock.advance(500 + 20)
    await expect(call).resolves.toBe('second')
  })
})
