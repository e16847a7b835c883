import type { Ask } from '../api.ts'
import { header, isSuccess, runOf } from '../exchange.ts'
import { expect, expectEach, expectReplay } from '../expect.ts'
import type { FixtureRequest } from '../fixture.ts'
import { Skipped } from '../failure.ts'
import type { Row } from '../row.ts'

const MARKERS = ['idempotent-replayed', 'idempotency-replayed']

const BODIES: readonly (readonly [what: string, body: FixtureRequest])[] = [
  ['204', { status: 204 }],
  ['205', { status: 205 }],
  ['304', { status: 304 }],
  ['an empty body', { kind: 'empty' }],
  ['0', { kind: 'zero' }],
  ['false', { kind: 'false' }],
  ['binary', { kind: 'binary' }],
  ['1 MiB', { kind: 'large' }],
]

export const replaying: readonly Row[] = [
  {
    id: 'D8',
    level: 'SHOULD',
    title: 'the first request is answered as without a key',
    async run(api) {
      const ask: Ask = { key: api.newKey(), body: { status: 202 } }
      const { value: got, runs } = await api.counting(() => api.send(ask))
      const isPlain = got.status === 202 && runOf(got) === (await api.count()) && runs === 1
      expect(isPlain, { sent: ask, expected: 'the 202 of the handler', got, runs })
      const marker = MARKERS.find((name) => got.headers.has(name))
      expect(marker === undefined, {
        sent: ask,
        expected: 'no mark of a replay',
        got: `${marker}: ${marker && header(got, marker)}`,
      })
    },
  },
  {
    id: 'D9',
    level: 'SHOULD',
    title: 'a request that is sent again gets the first answer',
    async run(api) {
      const ask: Ask = { key: api.newKey(), body: { amount: 1 } }
      const first = await api.send(ask)
      expect(isSuccess(first), { sent: ask, expected: 'a 2xx', got: first })
      await expectReplay(api, first, ask)
    },
  },
  {
    id: 'D10',
    level: 'SHOULD',
    title: 'an error of the handler comes back, too: 402, 500',
    needs: ['D9'],
    run: (api) =>
      expectEach([402, 500], String, async (status) => {
        const ask: Ask = { key: api.newKey(), body: { status } }
        const first = await api.send(ask)
        expect(first.status === status, { sent: ask, expected: `a ${status}`, got: first })
        await expectReplay(api, first, ask)
      }),
  },
  {
    id: 'P4',
    level: 'MUST',
    title: '204, 205, 304, empty, 0, false, binary and 1 MiB come back exactly',
    needs: ['D9'],
    run: (api) =>
      expectEach(
        BODIES,
        ([what]) => what,
        async ([, body]) => {
          const ask: Ask = { key: api.newKey(), body: { ...body } }
          await expectReplay(api, await api.send(ask), ask)
        },
      ),
  },
  {
    id: 'P5',
    level: 'MUST',
    title: 'an answer that was written in pieces comes back whole',
    needs: ['D9'],
    async run(api) {
      const ask: Ask = { key: api.newKey(), body: { kind: 'pieces' } }
      await expectReplay(api, await api.send(ask), ask)
    },
  },
  {
    id: 'P6',
    level: 'MUST',
    title: 'a replay leaves out Set-Cookie, Date and hop-by-hop headers of the first',
    needs: ['D9'],
    async run(api) {
      const ask: Ask = { key: api.newKey(), body: { kind: 'headers' } }
      const first = await api.send(ask)
      if (!first.headers.has('set-cookie')) throw new Skipped('the fixture sets no cookie for kind "headers"')
      const again = await expectReplay(api, first, ask)
      const kept = ['set-cookie', 'x-hop'].filter((name) => again.headers.has(name))
      if (header(again, 'date') === 'Mon, 01 Jan 2001 00:00:00 GMT') kept.push('date')
      expect(kept.length === 0, {
        sent: ask,
        expected: 'none of these',
        got: `a replay with ${kept.join(', ')}`,
      })
    },
  },
]
