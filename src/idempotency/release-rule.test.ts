import { describe, expect, test } from 'vitest'
import { expectNoUnhandledRejections } from '../../test/client/support/unhandled.ts'
import { releasesKey, type ReleaseRule } from './release-rule.ts'

expectNoUnhandledRejections()

const head = (status: number) => ({ status, statusText: '', headers: [] as const })
const ending = { threw: false, began: false }

describe('a rule of the caller’s', () => {
  test.each([true, false])('decides: %o', (answer) => {
    expect(releasesKey(() => answer, head(201), ending)).toBe(answer)
  })

  test.each<[string, () => unknown]>([
    ['answers with a promise', async () => true],
    ['answers with a promise that fails', async () => Promise.reject(new Error('no rule'))],
    ['answers with nothing', () => undefined],
    [
      'throws',
      () => {
        throw new Error('no rule')
      },
    ],
  ])('that %s leaves it to the status', (_, rule) => {
    const statuses = [201, 503].map((status) => releasesKey(rule as ReleaseRule, head(status), ending))
    expect(statuses).toEqual([false, true])
  })
})
