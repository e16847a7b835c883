import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { expect, onTestFinished, test, vi } from 'vitest'
import { CHANNEL_NAME, diagnosticsListener } from './diagnostics.ts'
import type { HoldfastEvent } from './events.ts'

const event: HoldfastEvent = { type: 'circuit-close', key: 'api' }

test('events are published on the channel while somebody has subscribed to it', () => {
  expect([CHANNEL_NAME, diagnosticsListener()]).toEqual(['holdfast:event', undefined])
  const heard: unknown[] = []
  const hear = (message: unknown): void => void heard.push(message)
  subscribe('holdfast:event', hear)
  diagnosticsListener()?.(event)
  unsubscribe('holdfast:event', hear)
  expect(heard).toEqual([event])
  expect(diagnosticsListener()).toBeUndefined()
})

test.each([
  ['has no such module', { getBuiltinModule: () => undefined }],
  ['has an empty one', { getBuiltinModule: () => ({}) }],
  ['can not be asked for it', {}],
  ['knows no process', undefined],
])('where the platform %s, nobody listens', async (_, process) => {
  vi.resetModules()
  onTestFinished(() => void vi.resetModules())
  const elsewhere = await import('./diagnostics.ts')
  vi.stubGlobal('process', process)
  const listener = elsewhere.diagnosticsListener()
  vi.unstubAllGlobals()
  expect(listener).toBeUndefined()
})
