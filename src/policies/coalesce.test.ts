import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { deferred, watch, type Deferred } from '../../test/support/operations.ts'
import { expectNoUnhandledRejections } from '../../test/client/support/unhandled.ts'
import type { HoldfastEvent } from '../core/events.ts'
import { pipeline } from '../core/pipeline.ts'
import { Context, Execution } from '../core/policy.ts'
import { Scope } from '../primitives/signal.ts'
import { virtualClock } from '../testing/virtual-clock.ts'
import { coalesce, coalesceBy, type CoalesceOptions } from './coalesce.ts'
import { retry } from './retry.ts'
import { timeout } from './timeout.ts'

expectNoUnhandledRejections()

const clock = virtualClock()
const key = ({ execution }: Context): string => execution.key

/** An operation that is ended by the test, and what its runs were given. */
function bench(
  options: Partial<CoalesceOptions<object>> = {},
  ...outside: Parameters<typeof pipeline<object>>
) {
  const runs: (Deferred<object> & { context: Context })[] = []
  const made = pipeline<object>(...outside, coalesce<object>({ key, ...options }))
  const execute = (of = 'a', signal?: AbortSignal) =>
    made.execute(
      (context) => {
        const end = deferred<object>()
        runs.push({ ...end, context })
        return end.promise
      },
      { key: of, ...(signal === undefined ? {} : { signal }) },
    )
  return { runs, execute }
}

describe('coalesce', () => {
  test('what overlaps with the same key runs once, what comes later runs again', async () => {
    const { runs, execute } = bench()
    const all = [execute(), execute(), execute('b'), execute()]
    expect(runs).toHaveLength(2)
    const [a, b] = [{}, {}]
    runs[0]?.resolve(a)
    runs[1]?.resolve(b)
    expect(await Promise.all(all)).toEqual([a, a, b, a])
    void watch(execute())
    expect(runs).toHaveLength(3)
  })

  test('a failure reaches all, and is not kept', async () => {
    const { runs, execute } = bench()
    const all = [watch(execute()), watch(execute())]
    const error = new Error('down')
    runs[0]?.reject(error)
    await clock.settle()
    expect(all.map((each) => each.error)).toEqual([error, error])
    void watch(execute())
    expect(runs).toHaveLength(2)
  })

  test('an operation that throws at once fails like any other', async () => {
    const made = pipeline(coalesce({ key }))
    const bug = (): never => {
      throw new Error('bug')
    }
    await expect(made.execute(bug)).rejects.toThrow('bug')
    await expect(made.execute(() => 1)).resolves.toBe(1)
  })

  test('undefined is no key: nothing is shared', () => {
    const { runs, execute } = bench({ key: () => undefined })
    void [execute(), execute()].map(watch)
    expect(runs).toHaveLength(2)
  })

  test('two pipelines share nothing, though they have the policy in common', async () => {
    const policy = coalesce<string>({ key })
    const results = ['a', 'b'].map((value) => pipeline<string>(policy).execute(async () => value))
    expect(await Promise.all(results)).toEqual(['a', 'b'])
  })

  test('each but the first gets a copy of its own', async () => {
    const { runs, execute } = bench({ share: (value) => ({ ...value }) })
    const all = Promise.all([execute(), execute(), execute()])
    const value = { a: 1 }
    runs[0]?.resolve(value)
    const got = await all
    expect(got).toEqual([value, value, value])
    expect(got[0]).toBe(value)
    expect(new Set(got).size).toBe(3)
  })

  test('what share throws reaches all', async () => {
    const bug = new Error('bug')
    const { runs, execute } = bench({
      share() {
        throw bug
      },
    })
    const all = [watch(execute()), watch(execute())]
    runs[0]?.resolve({})
    await clock.settle()
    expect(all.map(({ error }) => error)).toEqual([bug, bug])
  })

  test('who joins is told, the first is not', () => {
    const events: HoldfastEvent[] = []
    const { execute } = bench({ onEvent: (event) => events.push(event) })
    void [execute(), execute(), execute('b'), execute()].map(watch)
    expect(events).toEqual([{ type: 'coalesced' }, { type: 'coalesced' }])
  })

  test('the run has no deadline of anybody, and a timeout outside ends one alone', async () => {
    const time = virtualClock()
    const { runs, execute } = bench({}, timeout({ totalMs: 100, clock: time }))
    const first = watch(execute())
    await time.advance(60)
    const second = watch(execute())
    expect(runs[0]?.context.deadline).toBe(Infinity)
    await time.advance(40)
    expect(first.error).toMatchObject({ code: 'ERR_TOTAL_TIMEOUT' })
    expect(second.settled).toBe(false)
    runs[0]?.resolve({})
    await time.settle()
    expect(second.value).toEqual({})
  })

  test('when all have timed out, the run has: that is news of the service', async () => {
    const time = virtualClock()
    const { runs, execute } = bench({}, timeout({ totalMs: 100, clock: time }))
    void watch(execute())
    await time.advance(100)
    expect(runs[0]?.context.scope).toMatchObject({ aborted: true, abortedBy: 'timeout' })
  })

  test('a result that comes when all have left is discarded, whatever that throws', async () => {
    const discard = vi.fn<(value: object) => void>(() => {
      throw new Error('bug')
    })
    const { runs, execute } = bench({ discard })
    const controller = new AbortController()
    void watch(execute('a', controller.signal))
    controller.abort()
    const value = {}
    runs[0]?.resolve(value)
    await clock.settle()
    expect(discard.mock.calls).toEqual([[value]])
  })

  test('a failure that comes when all have left is nothing to discard', async () => {
    const discard = vi.fn<(value: object) => void>()
    const { runs, execute } = bench({ discard })
    const controller = new AbortController()
    const left = watch(execute('a', controller.signal))
    controller.abort('left')
    runs[0]?.reject(new Error('down'))
    await clock.settle()
    expect(left.error).toBe('left')
    expect(discard).not.toHaveBeenCalled()
  })

  test('a run that is handed out by rules of a client’s own is so for each who waits', async () => {
    const named = coalesceBy<string>({
      key,
      handOut: (_, contexts) =>
        contexts.map(({ execution }) => ({ ok: true, value: String(execution.data) })),
    })
    const end = deferred<string>()
    const work = named.wrap(() => end.promise)
    const contextOf = (data: string): Context => new Context(new Execution(data), new Scope())
    const all = [work(contextOf('first')), work(contextOf('second'))]
    end.resolve('shared')
    expect(await Promise.all(all)).toEqual(['first', 'second'])
  })

  test('who leaves is told why, by the policy itself', async () => {
    const work = coalesce<string>({ key }).wrap<string>(() => new Promise<never>(() => {}))
    const scope = new Scope()
    const left = watch(work(new Context(new Execution('a call'), scope)))
    scope.abort('left', 'caller')
    await clock.settle()
    expect(left.error).toBe('left')
  })

  test('may not stand inside retry', () => {
    expect(() => pipeline<object>(retry(), coalesce({ key }))).toThrow('retry stands outside coalesce')
  })

  test('a run that all have left does not take the place of its successor when it ends', async () => {
    const { runs, execute } = bench()
    const controller = new AbortController()
    void watch(execute('a', controller.signal))
    controller.abort()
    void watch(execute())
    runs[0]?.resolve({})
    await clock.settle()
    void watch(execute())
    expect(runs).toHaveLength(2)
  })

  test.each<[string, unknown, string]>([
    ['no key', {}, 'coalesce.key should be a function, got undefined'],
    ['a share that is none', { key, share: 1 }, 'coalesce.share should be a function, got 1'],
    [
      'an unknown option',
      { key, ttlMs: 1 },
      'coalesce has no option "ttlMs"; it has key, share, discard, onEvent',
    ],
  ])('refuses %s', (_, options, message) => {
    expect(() => coalesce(options as CoalesceOptions)).toThrow(message)
  })

  test('refuses a key that is no string', async () => {
    const { execute } = bench({ key: () => 1 as unknown as string })
    await expect(execute()).rejects.toThrow(
      'what coalesce.key() returns should be a string or undefined, got 1',
    )
  })
})

type Command = { do: 'join'; key: string } | { do: 'leave' | 'resolve' | 'reject'; pick: number }

const pick = fc.nat(50)
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ do: fc.constant('join' as const), key: fc.constantFrom('a', 'b') }),
  fc.record({ do: fc.constantFrom('leave' as const, 'resolve' as const, 'reject' as const), pick }),
)

/** What is expected of a run. */
interface ModelRun {
  readonly key: string
  open: boolean
  settled: boolean
  readonly waiting: number[]
}

test('any order of joins, leaves and ends: as a plain list of runs says', async () => {
  const property = fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
    const { runs, execute } = bench()
    const model: ModelRun[] = []
    const expected: (string | undefined)[] = []
    const signals: AbortController[] = []
    const seen: ReturnType<typeof watch<object>>[] = []
    for (const step of commands) {
      if (step.do === 'join') {
        let run = model.find((each) => each.open && each.key === step.key)
        if (run === undefined) model.push((run = { key: step.key, open: true, settled: false, waiting: [] }))
        run.waiting.push(seen.length)
        expected.push(undefined)
        const controller = new AbortController()
        signals.push(controller)
        seen.push(watch(execute(step.key, controller.signal)))
      } else if (step.do === 'leave') {
        const who = step.pick % Math.max(1, seen.length)
        signals[who]?.abort(`left ${who}`)
        if (seen.length > 0 && expected[who] === undefined) {
          expected[who] = `left ${who}`
          const run = model.find(({ waiting }) => waiting.includes(who))
          run?.waiting.splice(run.waiting.indexOf(who), 1)
          if (run?.waiting.length === 0) run.open = false
        }
      } else {
        const which = step.pick % Math.max(1, runs.length)
        const run = model[which]
        if (step.do === 'resolve') runs[which]?.resolve({ run: which })
        else runs[which]?.reject({ run: which })
        if (run !== undefined && !run.settled) {
          run.open = false
          run.settled = true
          for (const who of run.waiting) expected[who] = `${step.do} ${which}`
        }
      }
      await clock.settle()
      expect(runs).toHaveLength(model.length)
      expect(runs.map(({ context }) => context.scope.aborted)).toEqual(
        model.map(({ waiting, open }) => !open && waiting.length === 0),
      )
      expect(seen.map(endOf)).toEqual(expected)
    }
  })
  await fc.assert(property, { numRuns: 300 })
})

function endOf({ settled, value, error }: ReturnType<typeof watch<object>>): string | undefined {
  if (!settled) return undefined
  if (typeof error === 'string') return error
  const [how, { run }] = [value === undefined ? 'reject' : 'resolve', (value ?? error) as { run: number }]
  return `${how} ${run}`
}
