import { afterAll, expect } from 'vitest'
import { tick } from './wait.ts'

/** Fails the file in which it is called when a rejection that nobody handled came up in its process. */
export function expectNoUnhandledRejections(): void {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  afterAll(async () => {
    await tick(20)
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })
}
