import { afterEach, expect, test, vi } from 'vitest'
import { isHoldfastError } from '../../src/index.ts'
import { loadPeer } from '../../src/telemetry/peer.ts'

afterEach(() => void vi.unstubAllGlobals())

function failureOf(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

test('a library that is missing is named with the command that installs it', () => {
  const error = failureOf(() => loadPeer('holdfast/prometheus', 'no-such-client', 'client'))
  expect(isHoldfastError(error)).toBe(true)
  expect(error).toMatchObject({
    code: 'ERR_INVALID_OPTION',
    message: 'holdfast/prometheus needs no-such-client: npm i no-such-client',
    cause: { code: 'MODULE_NOT_FOUND' },
  })
})

test('where nothing can be loaded the option is named that takes it', () => {
  vi.stubGlobal('process', undefined)
  const error = failureOf(() => loadPeer('holdfast/prometheus', 'prom-client', 'client'))
  vi.unstubAllGlobals()
  expect(error).toMatchObject({
    message: "holdfast/prometheus can't load prom-client by itself here: import it and pass it as client",
  })
})

test('what is there is loaded', () => {
  expect(loadPeer('holdfast/prometheus', 'prom-client', 'client')).toHaveProperty('Registry')
})
