import { expect, test, vi } from 'vitest'
import { EndingScope } from './ending-scope.ts'
import type { Outcome } from './policy.ts'

class Work extends EndingScope<string> {
  readonly atEnd = vi.fn<(outcome: Outcome<string>) => void>()
}

/** Work, and what was told of its end. */
function work(discard?: (late: string) => void) {
  const told: Outcome<string>[] = []
  const scope = new Work({ end: (outcome) => void told.push(outcome) }, discard)
  return { scope, told }
}

const done = (value: string): Outcome<string> => ({ ok: true, value })
const failed = (error: unknown): Outcome<string> => ({ ok: false, error })

test('the end is told once, after what is done at it', () => {
  const { scope, told } = work()
  scope.atEnd.mockImplementation(() => expect(told).toEqual([]))
  scope.end(done('first'))
  scope.end(failed('second'))
  scope.abort('third', 'caller')
  expect(told).toEqual([done('first')])
  expect(scope.atEnd).toHaveBeenCalledExactlyOnceWith(done('first'))
})

test('an abort is the end, with its reason, and ends what is below', () => {
  const { scope, told } = work()
  const inner = work()
  inner.scope.moveUnder(scope)
  scope.abort('left', 'caller')
  expect([told, inner.told]).toEqual([[failed('left')], [failed('left')]])
  expect(inner.scope.isCalledOff).toBe(true)
})

test('what fails at the end is how it ends', () => {
  const { scope, told } = work()
  const error = new Error('no such timer')
  scope.atEnd.mockImplementation(() => {
    throw error
  })
  scope.end(done('never told'))
  expect(told).toEqual([failed(error)])
})

test('a value that comes too late is discarded, whatever comes of that; a failure is not', () => {
  const discard = vi.fn<(late: string) => void>(() => {
    throw new Error('locked')
  })
  const { scope, told } = work(discard)
  scope.abort('left', 'caller')
  scope.end(failed('late'))
  expect(discard).not.toHaveBeenCalled()
  scope.end(done('late'))
  expect(discard).toHaveBeenCalledExactlyOnceWith('late')
  expect(told).toEqual([failed('left')])
})
