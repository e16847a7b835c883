import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { deferred, watch } from '../../test/support/operations.ts'
import { pipeline } from './pipeline.ts'
import { retry } from '../policies/retry.ts'
import type { Policy } from './policy.ts'
import { virtualClock } from '../testing/virtual-clock.ts'

const tracing = (name: string, trace: string[]): Policy => ({
  name,
  wrap: (next) => async (context) => {
    trace.push(`${name} in`)
    const result = await next(context)
    trace.push(`${name} out`)
    return result
  },
})

describe('pipeline', () => {
  test('runs policies outermost first', async () => {
    const trace: string[] = []
    const result = await pipeline(tracing('a', trace), tracing('b', trace)).execute(async () => {
      trace.push('operation')
      return 1
    })
    expect(result).toBe(1)
    expect(trace).toEqual(['a in', 'b in', 'operation', 'b out', 'a out'])
  })

  test('without policies it is the operation', async () => {
    expect(await pipeline().execute(() => 'plain')).toBe('plain')
    await expect(
      pipeline().execute(() => {
        throw new Error('sync')
      }),
    ).rejects.toThrow('sync')
  })

  test('what a policy throws before it returns its promise is tried again like any other failure', async () => {
    let attempts = 0
    const hasty: Policy = {
      name: 'hasty',
      wrap: (next) => (context) => {
        if (++attempts < 3) throw new Error('hasty')
        return next(context)
      },
    }
    await expect(pipeline(hasty).execute(() => 'done')).rejects.toThrow('hasty')
    const policies = pipeline(retry({ baseDelayMs: 0 }), hasty)
    expect(await policies.execute(() => 'done')).toBe('done')
  })

  test('a thenable counts as a promise', async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- it is what libraries with promises of their own return
    const thenable = { then: (resolve: (value: string) => void) => resolve('done') }
    expect(await pipeline(retry()).execute(() => thenable as Promise<string>)).toBe('done')
  })

  test('the signal is not aborted, and the first attempt is 1', async () => {
    expect(await pipeline().execute(({ signal, attempt }) => [signal.aborted, attempt])).toEqual([false, 1])
  })

  test("the caller's abort rejects at once, whatever the operation does", async () => {
    const controller = new AbortController()
    const reason = new Error('left')
    const result = watch(pipeline().execute(() => new Promise(() => {}), { signal: controller.signal }))
    controller.abort(reason)
    await virtualClock().settle()
    expect(result.error).toBe(reason)
  })

  test('an operation that a policy has held up is not begun after the end', async () => {
    const gate = deferred()
    const late = deferred<unknown>()
    const holding: Policy = {
      name: 'holding',
      wrap: (next) => async (context) => {
        await gate.promise
        return next(context).catch((error: unknown) => {
          late.resolve(error)
          throw error
        })
      },
    }
    const controller = new AbortController()
    let runs = 0
    const work = pipeline(holding).execute(() => ++runs, { signal: controller.signal })
    controller.abort('left')
    await expect(work).rejects.toBe('left')
    gate.resolve()
    expect(await late.promise).toBe('left')
    expect(runs).toBe(0)
  })

  test('a signal that is aborted already begins nothing', async () => {
    const trace: string[] = []
    const operation = (): number => trace.push('operation')
    const result = pipeline(tracing('a', trace)).execute(operation, { signal: AbortSignal.abort('early') })
    await expect(result).rejects.toBe('early')
    expect(trace).toEqual([])
  })

  test.each([
    {},
    { signal: null },
    { signal: undefined, key: undefined, onEvent: undefined },
    { key: 'orders' },
  ])('takes what may be given, and undefined for not given: %j', async (options) => {
    expect(await pipeline().execute(() => 'done', options)).toBe('done')
  })

  test('a signal that is aborted already rejects with its reason', async () => {
    await expect(pipeline().execute(async () => 1, { signal: AbortSignal.abort('early') })).rejects.toBe(
      'early',
    )
  })

  test.each([
    ['no operation', undefined, {}, 'operation should be a function, got undefined'],
    ['nothing at all', undefined, undefined, 'operation should be a function, got undefined'],
    ['an operation that is none', 'load', {}, 'operation should be a function, got "load"'],
    ['options that are none', () => 1, null, 'options should be an object, got null'],
    ['an option that nobody reads', () => 1, { abort: 1 }, 'execute has no option "abort"; it has signal, '],
    ['a signal that is none', () => 1, { signal: {} }, 'signal should be an AbortSignal, got an object'],
    [
      'a signal that is a controller',
      () => 1,
      { signal: new AbortController() },
      'signal should be an AbortSignal',
    ],
    ['a key that is none', () => 1, { key: 5 }, 'key should be a string, got 5'],
    ['a listener that is none', () => 1, { onEvent: 'log' }, 'onEvent should be a function, got "log"'],
    [
      'an option named as what every object has',
      () => 1,
      { toString: 5 },
      'execute has no option "toString"',
    ],
  ])('%s is refused by a rejection, and no policy sees it', async (_, operation, options, message) => {
    const trace: string[] = []
    const refused = pipeline(tracing('a', trace)).execute(operation as never, options as never)
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' })
    expect(trace).toEqual([])
  })

  test('what throws as it is read is a rejection', async () => {
    const signal = {
      aborted: false,
      addEventListener() {
        throw new Error('no listeners here')
      },
    }
    const call = pipeline().execute(() => 1, { signal: signal as never })
    await expect(call).rejects.toThrow('no listeners here')
  })

  test('runs under the context of another, and ends with that', async () => {
    const controller = new AbortController()
    const inner = pipeline()
    const outer = pipeline().execute((context) => inner.execute(() => new Promise(() => {}), context), {
      signal: controller.signal,
    })
    controller.abort(new Error('left'))
    await expect(outer).rejects.toThrow('left')
    await expect(pipeline().execute((context) => inner.execute(() => 'done', context))).resolves.toBe('done')
  })

  test('however many calls run on one signal, it has one listener, and none afterwards', async () => {
    const { signal } = new AbortController()
    const gate = deferred()
    const calls = Array.from({ length: 200 }, () => pipeline().execute(() => gate.promise, { signal }))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    gate.resolve()
    await Promise.all(calls)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})
