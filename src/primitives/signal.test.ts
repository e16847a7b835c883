import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { collectGarbage } from '../../test/support/garbage.ts'
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

  test.each([
    ['caller', true],
    ['race', true],
    ['timeout', false],
  ] as const)('who is ended by the %s is called off: %s', (by, isCalledOff) => {
    const scope = new Scope()
    expect(scope.isCalledOff).toBe(false)
    scope.abort('late', by)
    expect(scope.isCalledOff).toBe(isCalledOff)
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

  test.each([
    [[], ['first', 'second', 'third', 'fourth']],
    [['first'], ['second', 'third', 'fourth']],
    [['second'], ['first', 'third', 'fourth']],
    [
      ['second', 'third'],
      ['first', 'fourth'],
    ],
    [['first', 'second', 'third'], ['fourth']],
    [['somebody'], ['first', 'second', 'third', 'fourth']],
  ])('listeners are told in the order in which they came, whoever has left: %j', (leaving, staying) => {
    const told: string[] = []
    const listen = (name: string): AbortListener => ({ onAbort: () => void told.push(name) })
    const all = { first: listen('first'), second: listen('second'), third: listen('third') }
    const scope = new Scope()
    for (const each of Object.values(all)) scope.add(each)
    for (const name of leaving) scope.remove(Reflect.get(all, name) ?? listen(name))
    scope.add(listen('fourth'))
    scope.abort('late', 'timeout')
    expect(told).toEqual(staying)
  })

  test('is written as JSON without the tree that it belongs to, which has circles', () => {
    const scope = new Scope(new Scope())
    expect(JSON.stringify({ scope })).toBe('{"scope":{"aborted":false}}')
    scope.abort('late', 'timeout')
    expect(JSON.stringify({ scope })).toBe('{"scope":{"aborted":true}}')
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

  test('a released scope is not aborted any more, and all others are', () => {
    const controller = new AbortController()
    const scopes = [new Scope(), new Scope(), new Scope()]
    const [released, , streaming] = scopes.map((scope) => followSignal(controller.signal, scope))
    streaming?.keepFor([], new Scope())
    released?.release()
    controller.abort()
    expect(scopes.map(({ aborted }) => aborted)).toEqual([false, true, true])
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
    expect([scope.reason, scope.abortedBy]).toEqual(['early', 'caller'])
    const old = { aborted: true, reason: undefined } as AbortSignal
    expect(String(reasonOf(old))).toBe('AbortError: This operation was aborted')
  })

  test.each([undefined, null])('no signal leaves the scope to itself: %s', (signal) => {
    const scope = new Scope()
    expect(followSignal(signal, scope)).toBeUndefined()
    expect(scope.aborted).toBe(false)
  })
})

describe('a scope whose call has ended while its response still streams', () => {
  /** Follows a signal from a scope that nobody here holds: `told` is what the scope below is aborted with. */
  function follow(signal: AbortSignal, holders: readonly object[], told: unknown[]): WeakRef<Scope> {
    const outer = new Scope()
    const inner = new Scope(outer)
    inner.add({ onAbort: ({ reason }) => void told.push(reason) })
    followSignal(signal, outer)?.keepFor(holders, inner)
    return new WeakRef(inner)
  }

  test('lives as long as its holder, and so does the way to abort it', async () => {
    const controller = new AbortController()
    const holder = {}
    const told: unknown[] = []
    follow(controller.signal, [holder], told)
    await turn()
    collectGarbage()
    controller.abort('left')
    expect(told).toEqual(['left'])
    // Used here, so it has lived until now.
    expect(holder).toEqual({})
  })

  test('lives as long as the signal that its transport was given', async () => {
    const controller = new AbortController()
    const given = (): AbortSignal => {
      const outer = new Scope()
      const inner = new Scope(outer)
      const { signal } = inner
      followSignal(controller.signal, outer)?.keepFor([], inner)
      return signal
    }
    const signal = given()
    await turn()
    collectGarbage()
    controller.abort('left')
    expect(signal.reason).toBe('left')
  })

  test('leaves no trace on the signal when its holders are gone', async () => {
    const { signal } = new AbortController()
    const scope = follow(signal, [{}], [])
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    const isListening = (): boolean => getEventListeners(signal, 'abort').length > 0
    for (let round = 0; round < 10 && isListening(); round++) {
      collectGarbage()
      await turn()
    }
    expect([scope.deref(), isListening()]).toEqual([undefined, false])
  })

  test('does not keep others from hearing of an abort just after it was collected', async () => {
    const controller = new AbortController()
    const holder = {}
    const gone: unknown[] = []
    const kept: unknown[] = []
    follow(controller.signal, [{}], gone)
    follow(controller.signal, [holder], kept)
    await turn()
    collectGarbage()
    controller.abort('left')
    expect([gone, kept, holder]).toEqual([[], ['left'], {}])
  })

  test.each(['FinalizationRegistry', 'WeakRef'])('is still aborted in an engine without %s', async (name) => {
    vi.stubGlobal(name, undefined)
    vi.resetModules()
    onTestFinished(() => {
      vi.unstubAllGlobals()
      vi.resetModules()
    })
    const older = await import('./signal.ts')
    const controller = new AbortController()
    const scope = new older.Scope()
    older.followSignal(controller.signal, scope)?.keepFor([{}], scope)
    controller.abort('left')
    expect(scope.reason).toBe('left')
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
