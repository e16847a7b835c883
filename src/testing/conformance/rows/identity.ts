import type { Api, Ask } from '../api.ts'
import { isSuccess, type Reply } from '../exchange.ts'
import { expect, expectEach, expectRefused, expectReplay, isSame } from '../expect.ts'
import type { HeaderFields } from '../options.ts'
import type { Row } from '../row.ts'

const isRefusal = ({ status }: Reply): boolean => status >= 400 && status < 500

async function usedKey(api: Api): Promise<{ readonly key: string; readonly first: Reply }> {
  const key = api.newKey()
  const first = await api.send({ key, target: '?amount=1', body: { amount: 1 } })
  return { key, first }
}

const VARIANTS: readonly (readonly [what: string, change: Ask])[] = [
  ['another query', { target: '?amount=2' }],
  ['another path', { target: '/other?amount=1' }],
  ['another method', { method: 'PUT' }],
]

/** Which of the two has the longer value, where that one begins with the other's, and what it has more. */
function nestedPrincipals(
  principals: readonly [HeaderFields, HeaderFields] | undefined,
): { readonly long: 0 | 1; readonly short: 0 | 1; readonly rest: string } | undefined {
  const [one, other] = principals ?? []
  if (one === undefined || other === undefined) return undefined
  const names = Object.keys(one)
  const [name = ''] = names
  const [a, b] = [one[name], other[name]]
  if (names.length !== 1 || a === undefined || b === undefined || a === b) return undefined
  if (a.startsWith(b)) return { long: 0, short: 1, rest: a.slice(b.length) }
  return b.startsWith(a) ? { long: 1, short: 0, rest: b.slice(a.length) } : undefined
}

export const identity: readonly Row[] = [
  {
    id: 'D5',
    level: 'MUST',
    title: 'a key is not taken for another body',
    async run(api) {
      const { key } = await usedKey(api)
      await expectRefused(api, { key, target: '?amount=1', body: { amount: 2 } }, isRefusal, 'a 4xx')
    },
  },
  {
    id: 'D13',
    level: 'SHOULD',
    title: 'another body under a key is refused with 422',
    needs: ['D5'],
    async run(api) {
      const { key } = await usedKey(api)
      const ask: Ask = { key, target: '?amount=1', body: { amount: 2 } }
      await expectRefused(api, ask, ({ status }) => status === 422, 'a 422')
    },
  },
  {
    id: 'D14',
    level: 'MUST',
    title: 'another body under a key is refused each time, and the first answer stays',
    needs: ['D5', 'D9'],
    async run(api) {
      const { key, first } = await usedKey(api)
      const ask: Ask = { key, target: '?amount=1', body: { amount: 2 } }
      for (let time = 1; time <= 3; time++) await expectRefused(api, ask, isRefusal, `a 4xx, time ${time}`)
      await expectReplay(api, first, { key, target: '?amount=1', body: { amount: 1 } })
    },
  },
  {
    id: 'P14',
    level: 'MUST',
    title: 'another query, path or method never gets the first answer',
    needs: ['D5'],
    run: (api) =>
      expectEach(
        VARIANTS,
        ([what]) => what,
        async ([, change]) => {
          const { key, first } = await usedKey(api)
          const ask: Ask = { key, target: '?amount=1', body: { amount: 1 }, ...change }
          const { value: got, runs } = await api.counting(() => api.send(ask))
          // Refused, or another operation: both are safe.
          const isRight = isRefusal(got) ? runs === 0 : runs === 1 && !isSame(first, got)
          expect(isRight, { sent: ask, expected: 'a 4xx, or a run of its own', got, runs })
        },
      ),
  },
  {
    id: 'P15',
    level: 'MAY',
    title: 'the same JSON in another order or spacing is the same body',
    needs: ['D9'],
    async run(api) {
      const key = api.newKey()
      const first = await api.send({ key, body: '{"amount":1,"unit":"EUR"}' })
      await expectReplay(api, first, { key, body: '{ "unit": "EUR",\n "amount": 1 }' })
    },
  },
  {
    id: 'D17',
    level: 'SHOULD',
    title: 'two clients with the same key and body are two operations',
    needs: ['D9'],
    missing: ({ principals }) =>
      principals === undefined ? 'needs two clients: --principal, twice' : undefined,
    async run(api) {
      const ask: Ask = { key: api.newKey(), body: {} }
      const first = await api.send({ ...ask, as: 0 })
      const second: Ask = { ...ask, as: 1 }
      const { value: got, runs } = await api.counting(() => api.send(second))
      const own = isSuccess(got) && runs === 1 && !isSame(first, got)
      expect(own, { sent: second, expected: 'a run of its own', got, runs })
      await expectReplay(api, first, { ...ask, as: 0 })
    },
  },
  {
    id: 'P19',
    level: 'MUST',
    title: 'client and key are kept apart, wherever a delimiter stands',
    needs: ['D9'],
    missing: ({ principals }) =>
      nestedPrincipals(principals) === undefined
        ? 'needs two clients of which one value begins with the other, such as "a:" and "a": --principal'
        : undefined,
    async run(api) {
      const nested = nestedPrincipals(api.settings.principals)
      if (nested === undefined) return
      const id = crypto.randomUUID()
      await api.send({ key: api.written(id), body: {}, as: nested.long })
      const ask: Ask = { key: api.written(nested.rest + id), body: {}, as: nested.short }
      const { value: got, runs } = await api.counting(() => api.send(ask))
      expect(isSuccess(got) && runs === 1, { sent: ask, expected: 'a run of its own', got, runs })
    },
  },
]
