import { expect, onTestFinished, test, vi } from 'vitest'
import { lazy } from './lazy.ts'

test('what is loaded when needed is asked for once by all who come meanwhile, but on workers', async () => {
  const load = vi.fn<() => Promise<string>>(async () => 'code')
  const here = lazy(load)
  expect(here.load()).toBe(here.load())
  expect(load).toHaveBeenCalledOnce()
  vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' })
  onTestFinished(() => void vi.unstubAllGlobals())
  const there = lazy(load)
  await Promise.all([there.load(), there.load()])
  expect(load).toHaveBeenCalledTimes(3)
})

test('what could not be loaded is asked for again', async () => {
  let asked = 0
  const code = lazy(async () => {
    if (++asked === 1) throw new Error('offline')
    return 'code'
  })
  await expect(code.load()).rejects.toThrow('offline')
  expect(code.loaded).toBeUndefined()
  expect([await code.load(), code.loaded]).toEqual(['code', 'code'])
})
