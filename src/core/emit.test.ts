import { expect, test, vi } from 'vitest'
import { Scope } from '../primitives/signal.ts'
import { allOf, emit, quietly } from './emit.ts'
import type { HoldfastEvent } from './events.ts'
import { Context, Execution, type OnEvent } from './policy.ts'

const event: HoldfastEvent = { type: 'circuit-close', key: 'api' }
const contextOf = (onEvent?: OnEvent): Context =>
  new Context(new Execution(undefined, { onEvent }), new Scope())

test('a policy’s own listener is told, else that of the execution, else nobody', () => {
  const own = vi.fn<OnEvent>()
  const executions = vi.fn<OnEvent>()
  const context = contextOf(executions)
  emit(own, event, context)
  expect([own.mock.calls, executions.mock.calls]).toEqual([[[event, context]], []])
  emit(undefined, event, context)
  expect(executions.mock.calls).toEqual([[event, context]])
  emit(undefined, event, contextOf())
  emit(undefined, event)
  expect(own).toHaveBeenCalledOnce()
})

test('neither what a listener throws nor a promise that it rejects gets out', () => {
  const thrown = (): never => {
    throw new Error('thrown')
  }
  const late = Promise.reject(new Error('rejected'))
  const handled = vi.spyOn(late, 'catch')
  expect([quietly(thrown), quietly(() => late), emit(thrown, event)]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  expect(handled).toHaveBeenCalledOnce()
})

test('several listeners are told in turn, and none keeps another from being told', () => {
  const told: unknown[] = []
  const thrown = (): never => {
    throw new Error('thrown')
  }
  const all = allOf<[number]>([
    undefined,
    (value) => void told.push(['one', value]),
    thrown,
    (value) => void told.push(['last', value]),
  ])
  all?.(1)
  expect(told).toEqual([
    ['one', 1],
    ['last', 1],
  ])
})

test('one listener is all there is, and of none there is none', () => {
  const only = vi.fn<() => void>()
  expect(allOf([undefined, only])).toBe(only)
  expect(allOf([undefined])).toBeUndefined()
})
