import { expect, test } from 'vitest'
import { Scope } from '../primitives/signal.ts'
import { compose, directPolicy, directWork, type Around } from './direct.ts'
import { Context, Execution, type Outcome } from './policy.ts'

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
  start(new Context(new Execution(undefined), new Scope()), { end: (outcome) => void told.push(outcome) })
  expect([seen, told]).toEqual([['outer', 'inner'], [{ ok: true, value: 1 }]])
})
