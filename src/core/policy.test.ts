import { describe, expect, test, vi } from 'vitest'
import { CircuitOpenError } from '../primitives/errors.ts'
import { Scope, type AbortedBy } from '../primitives/signal.ts'
import {
  causeOf,
  Context,
  Execution,
  isNoNews,
  rejected,
  standingOf,
  unwrap,
  type AttemptBudget,
  type Outcome,
  type Standing,
} from './policy.ts'

const done: Outcome = { ok: true, value: 'value' }
const failed: Outcome = { ok: false, error: 'down' }
const refused: Outcome = { ok: false, error: new CircuitOpenError('api', 1) }

describe('a context', () => {
  const budgetOf = (): AttemptBudget => ({ tryTake: () => true, succeeded() {}, giveBack() {} })
  const execution = new Execution('data')
  const [scope, inner] = [new Scope(), new Scope()]
  const [budget, other] = [budgetOf(), budgetOf()]
  const fieldsOf = (context: Context): unknown[] => [
    context.execution === execution,
    context.scope === scope ? 'scope' : context.scope === inner && 'inner',
    context.deadline,
    context.budget === budget ? 'budget' : context.budget === other ? 'other' : context.budget,
    context.attempt,
    context.isHedge,
  ]

  test('begins as a first attempt without a deadline and a budget', () => {
    expect(fieldsOf(new Context(execution, scope))).toEqual([true, 'scope', Infinity, undefined, 1, false])
    expect(execution).toMatchObject({ data: 'data', key: 'default' })
  })

  test('is derived with one thing changed', () => {
    const context = new Context(execution, scope, 5, budget, 2, true)
    expect(fieldsOf(context.within(inner, 7))).toEqual([true, 'inner', 7, 'budget', 2, true])
    expect(fieldsOf(context.paidFrom(other))).toEqual([true, 'scope', 5, 'other', 2, true])
    expect(fieldsOf(context.forAttempt(3))).toEqual([true, 'scope', 5, 'budget', 3, false])
    expect(context.forAttempt(2)).toBe(context)
    expect(fieldsOf(context)).toEqual([true, 'scope', 5, 'budget', 2, true])
  })

  test('has the signal of its scope', () => {
    expect(new Context(execution, scope).signal).toBe(scope.signal)
  })
})

describe('what an outcome tells of a service', () => {
  const contextOf = (by: AbortedBy | undefined, judge?: () => Standing): Context => {
    const scope = new Scope()
    if (by !== undefined) scope.abort('over', by)
    return new Context(new Execution(undefined, { ...(judge && { judge }) }), scope)
  }

  test.each([
    [done, undefined, 'served'],
    [done, 'caller', 'served'],
    [failed, undefined, 'failed'],
    [failed, 'timeout', 'failed'],
    [failed, 'caller', 'nothing'],
    [failed, 'race', 'nothing'],
    [refused, undefined, 'nothing'],
  ] as const)('%j, aborted by %s: %s', (outcome, by, standing) => {
    expect(standingOf(outcome, contextOf(by))).toBe(standing)
    expect(isNoNews(outcome, contextOf(by))).toBe(standing === 'nothing')
  })

  test('is what an execution’s own judge says, who is not asked where it tells nothing', () => {
    const judge = vi.fn<() => Standing>(() => 'failed')
    expect(standingOf(done, contextOf(undefined, judge))).toBe('failed')
    expect(standingOf(failed, contextOf('caller', judge))).toBe('nothing')
    expect(judge).toHaveBeenCalledOnce()
  })
})

test('an outcome is turned back into what made it', async () => {
  expect(unwrap(done)).toBe('value')
  expect(() => unwrap(refused)).toThrow(CircuitOpenError)
  await expect(rejected('down')).rejects.toBe('down')
})

test.each([
  [undefined, undefined],
  [failed, { cause: 'down' }],
  [done, { cause: 'value' }],
])('the end of an execution has the newest failure as its cause: %j', (lastFailure, cause) => {
  const execution = new Execution(undefined)
  execution.lastFailure = lastFailure
  expect(causeOf(execution)).toEqual(cause)
})
