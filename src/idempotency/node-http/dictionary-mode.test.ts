import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, test } from 'vitest'
import { hasShape } from '../../../test/support/shapes.ts'
import { toDictionaryMode } from './dictionary-mode.ts'

/** Where V8 shares the shapes of such objects there is nothing to be done. */
const isNew = Number.parseInt(process.versions.node, 10) >= 24

/** A request as Express has it: its prototype is one of the application's. */
function request(): IncomingMessage {
  const made = new IncomingMessage(new Socket())
  return Object.setPrototypeOf(made, Object.create(IncomingMessage.prototype)) as IncomingMessage
}

test('an object with a prototype of its own has no shape any more, also when it gets more properties', () => {
  const object = request()
  expect(hasShape(object)).toBe(true)
  toDictionaryMode(object)
  expect(hasShape(object)).toBe(isNew)
  Object.assign(object, { user: 1, body: {}, session: 'a' })
  expect(hasShape(object)).toBe(isNew)
})

test('what a class has made keeps its shape', () => {
  const object = new IncomingMessage(new Socket())
  toDictionaryMode(object)
  expect(hasShape(object)).toBe(true)
})

test('its properties and prototype are what they were, in their order', () => {
  const object = Object.assign(request(), { user: 1 })
  Object.defineProperty(object, 'hidden', { get: () => 'made', configurable: true })
  const before = [Object.getOwnPropertyDescriptors(object), Reflect.ownKeys(object)]
  const names = Object.keys(object)
  const prototype: unknown = Object.getPrototypeOf(object)
  toDictionaryMode(object)
  expect([Object.getOwnPropertyDescriptors(object), Reflect.ownKeys(object)]).toEqual(before)
  expect(Object.getPrototypeOf(object)).toBe(prototype)
  Object.assign(object, { user: 2, later: 3 })
  expect(Object.keys(object)).toEqual([...names, 'later'])
  expect(object).toMatchObject({ user: 2, later: 3, hidden: 'made' })
})

test('what cannot be changed is left as it is', () => {
  const object = Object.freeze(Object.assign(Object.create({}), { user: 1 }) as object)
  toDictionaryMode(object)
  expect(object).toEqual({ user: 1 })
  expect(Reflect.ownKeys(object)).toEqual(['user'])
})
