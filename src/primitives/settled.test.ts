import { expect, test } from 'vitest'
import { after, caught, settled, settledValue } from './settled.ts'

test('a settled promise tells its value at once, and is a promise all the same', async () => {
  const promise = settled('value')
  expect(settledValue(promise)).toEqual({ value: 'value' })
  expect(await promise).toBe('value')
  expect(settledValue(settled(undefined))).toEqual({ value: undefined })
})

test('of any other promise nothing is known, whatever it was made from', () => {
  const promise = settled('value')
  expect(settledValue(Promise.resolve('value'))).toBeUndefined()
  expect(settledValue(promise.then((value) => value))).toBeUndefined()
  expect(settledValue(new Proxy(promise, {}))).toBeUndefined()
})

test('what comes after a value that is there comes at once', async () => {
  expect(after(1, (value) => value + 1)).toBe(2)
  expect(await after(Promise.resolve(1), (value) => value + 1)).toBe(2)
})

test('a failure is made something of, at once where it is thrown at once', async () => {
  const failed = (error: unknown): string => `failed: ${String(error)}`
  const thrown = (): string => {
    // oxlint-disable-next-line no-throw-literal -- whatever is thrown is passed on
    throw 'down'
  }
  expect(caught(thrown, failed)).toBe('failed: down')
  expect(caught(() => 'done', failed)).toBe('done')
  expect(await caught(() => Promise.resolve('done'), failed)).toBe('done')
  expect(await caught(() => Promise.reject(new Error('late')), failed)).toBe('failed: Error: late')
})
