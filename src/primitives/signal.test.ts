import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { raceAbort } from '../core/work.ts'
import { followSignal, reasonOf, Scope, type AbortListener } from './signal.ts'

describe('Scope', () => {
  test('aborting one aborts all below it, with reason and origin, and nothing above', () => {
    const root = new Scope()
    const middle = new Scope(root)
    const leaf = new Scope(middle)
    middle.abort('late', 'timeout')
    expect([root.aborted, middle.aborted, leaf.aborted]).toEqual([false, true, true])
    expect([leaf.reason, leaf.abortedBy]).toEqual(['late', 'timeout'])
  })

  test('the first abort counts', () => {
    const scope = new Scope()
    scope.abort('first', 'timeout')
    scope.abort('second', 'caller')
    expect([scope.reason, scope.abortedBy]).toEqual(['first', 'timeout'])
  })

  test('makes its signal only when asked, before or after the abort', () => {
    const scope = new Scope()
    expect(scope.signalInUse).toBeUndefined()
    const { signal } = scope
    expect(scope.signalInUse).toBe(signal)
    scope.abort('late', 'timeout')
    expect([signal.aborted, signal.reason]).toEqual([true, 'late'])
    const another = new Scope()
    another.abort('early', 'caller')
    expect([another.signal.aborted, another.signal.reason]).toEqual([true, 'early'])
  })

  test('a scope below an aborted one is aborted from the start', () => {
    const root = new Scope()
    root.abort('over', 'caller')
    expect(new Scope(root).reason).toBe('over')
  })

  test('a listener that was removed is not told', () => {
    const scope = new Scope()
    const listener = { told: 0, onAbort: () => void listener.told++ }
    scope.add(listener)
    scope.remove(listener)
    scope.abort('late', 'timeout')
    expect(listener.told).toBe(0)
  })

  test('listeners are told in the order in which they came, whoever has left', () => {
    const told: string[] = []
    const listen = (name: string): AbortListener => ({ onAbort: () => void told.push(name) })
    const scope = new Scope()
    const first = listen('first')
    scope.add(first)
    scope.add(listen('second'))
    scope.remove(first)
    scope.add(listen('third'))
    scope.abort('late', 'timeout')
    expect(told).toEqual(['second', 'third'])
  })
})

describe('followSignal', () => {
  test('passes on the abort with its very reason, as the caller’s', () => {
    const controller = new AbortController()
    const scope = new Scope()
    followSignal(controller.signal, scope)
    const reason = {}
    controller.abort(reason)
    expect(scope.reason).toBe(reason)
    expect(scope.abortedBy).toBe('caller')
  })

  test('many followers are one listener, and none once all have left', () => {
    const { signal } = new AbortController()
    const links = Array.from({ length: 200 }, () => followSignal(signal, new Scope()))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    for (const link of links) link?.release()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  test('a released scope is not aborted any more', () => {
    const controller = new AbortController()
    const scope = new Scope()
    followSignal(controller.signal, scope)?.release()
    controller.abort()
    expect(scope.aborted).toBe(false)
  })

  test('a scope kept for a holder is still aborted', () => {
    const controller = new AbortController()
    const scope = new Scope()
    const inner = new Scope(scope)
    followSignal(controller.signal, scope)?.keepFor([{}, null, undefined], inner)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    controller.abort('left')
    expect(inner.reason).toBe('left')
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  })

  test('a signal that was aborted before, and one without a reason', () => {
    const scope = new Scope()
    expect(followSignal(AbortSignal.abort('early'), scope)).toBeUndefined()
    expect(scope.reason).toBe('early')
    const old = { aborted: true, reason: undefined } as AbortSignal
    expect(reasonOf(old)).toMatchObject({ name: 'AbortError' })
  })

  test('no signal leaves the scope to itself', () => {
    const scope = new Scope()
    expect(followSignal(undefined, scope)).toBeUndefined()
    expect(scope.aborted).toBe(false)
  })
})

describe('raceAbort', () => {
  test('settles as the work does', async () => {
    const scope = new Scope()
    await expect(raceAbort(scope, Promise.resolve(1))).resolves.toBe(1)
    await expect(raceAbort(scope, Promise.reject(new Error('down')))).rejects.toThrow('down')
  })

  test('rejects as soon as the scope is aborted; a later failure of the work goes nowhere', async () => {
    const scope = new Scope()
    let fail!: (error: Error) => void
    const work = new Promise<never>((_, reject) => (fail = reject))
    const race = raceAbort(scope, work)
    scope.abort('left', 'caller')
    await expect(race).rejects.toBe('left')
    fail(new Error('too late'))
    await expect(raceAbort(scope, Promise.resolve(1))).rejects.toBe('left')
  })
})
