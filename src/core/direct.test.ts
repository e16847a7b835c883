import { expect, test } from 'vitest'
import { Scope } from '../primitives/signal.ts'
import { begin, compose, directPolicy, directWork, type Around } from './direct.ts'
import { Context, Execution, type Outcome } from './policy.ts'

const context = new Context(new Execution(undefined), new Scope())

test('policies of the direct kind stand side by side without a promise between them', () => {
  const seen: string[] = []
  const note =
    (name: string): Around<unknown> =>
    (start) =>
    (context, receiver) => {
      seen.push(name)
      start(context, { end: (outcome) => receiver.end(outcome) })
    }
  const policies = ['outer', 'inner'].map((name) => directPolicy({ name }, note(name)))
  const { start } = compose<unknown>(
    policies,
    directWork((_, receiver) => receiver.end({ ok: true, value: 1 })),
  )
  const told: Outcome[] = []
  start(context, { end: (outcome) => void told.push(outcome) })
  expect([seen, told]).toEqual([['outer', 'inner'], [{ ok: true, value: 1 }]])
})

test('to everybody else they are policies like any other, around work that may fail at once', async () => {
  const policy = directPolicy<unknown, { name: string }>({ name: 'plain' }, (start) => start)
  const hasty = (): Promise<string> => {
    throw new Error('hasty')
  }
  expect(await policy.wrap(async () => 'done')(context)).toBe('done')
  await expect(policy.wrap(hasty)(context)).rejects.toThrow('hasty')
})

test('what work throws as it begins is told like any other failure', () => {
  const told: Outcome[] = []
  const error = new Error('no room')
  const start = (): void => {
    throw error
  }
  begin(start, context, { end: (outcome) => void told.push(outcome) })
  expect(told).toEqual([{ ok: false, error }])
})
