import { expect, test } from 'vitest'
import { settled } from './work.ts'

test('how work ends can be waited for, without a throw', async () => {
  expect(await settled(Promise.resolve('value'))).toEqual({ ok: true, value: 'value' })
  expect(await settled(Promise.reject(new Error('down')))).toEqual({ ok: false, error: new Error('down') })
})
