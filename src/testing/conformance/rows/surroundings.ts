import type { Ask } from '../api.ts'
import { header, type Reply } from '../exchange.ts'
import { expect, expectEach } from '../expect.ts'
import { Skipped } from '../failure.ts'
import type { Row } from '../row.ts'

/** The answers of a server that has no such method. */
const NOT_SERVED: ReadonlySet<number> = new Set([404, 405, 501])

const namesIn = (reply: Reply, field: string): string[] =>
  (header(reply, field) ?? '').split(',').map((name) => name.trim().toLowerCase())

/** A text of 512 MiB is more than V8 makes. */
const LARGEST_SENT = 268_435_456

/** `*` names everything, for requests without credentials. */
const names = (reply: Reply, field: string, name: string): boolean =>
  namesIn(reply, field).some((listed) => listed === name || listed === '*')

export const surroundings: readonly Row[] = [
  {
    id: 'P17',
    level: 'SHOULD',
    title: 'GET and HEAD run each time, with a key too',
    run: (api) =>
      expectEach(['GET', 'HEAD'], String, async (method) => {
        const ask: Ask = { method, key: api.newKey() }
        const first = await api.send(ask)
        if (NOT_SERVED.has(first.status))
          throw new Skipped(`the fixture answers ${method} with ${first.status}`)
        const { value: got, runs } = await api.counting(() => api.send(ask))
        expect(runs === 1, { sent: ask, expected: 'a run each time', got, runs })
      }),
  },
  {
    id: 'P17-ignored',
    level: 'MAY',
    title: 'a GET with a key is told that it is ignored',
    needs: ['P17'],
    async run(api) {
      const ask: Ask = { method: 'GET', key: api.newKey() }
      const status = header(await api.send(ask), 'idempotency-status')
      expect(status === 'ignored', {
        sent: ask,
        expected: 'Idempotency-Status: ignored',
        got: status ?? 'none',
      })
    },
  },
  {
    id: 'P18',
    level: 'SHOULD',
    title: 'browsers may send keys and see how they fared (CORS)',
    needs: ['D9'],
    missing: ({ origin }) => (origin === undefined ? 'for APIs that browsers call: --origin' : undefined),
    async run(api) {
      const { origin = '' } = api.settings
      const method = 'OPTIONS'
      const asked = {
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'idempotency-key',
      }
      const preflight: Ask = { method, headers: { origin, ...asked } }
      const got = await api.send(preflight)
      const allows = names(got, 'access-control-allow-headers', 'idempotency-key')
      expect(allows, { sent: preflight, expected: 'Access-Control-Allow-Headers with Idempotency-Key', got })
      const ask: Ask = { key: api.newKey(), body: {}, headers: { origin } }
      await api.send(ask)
      const replay = await api.send(ask)
      const allowed = header(replay, 'access-control-allow-origin')
      const isAllowed = allowed === '*' || allowed === origin
      expect(isAllowed, {
        sent: ask,
        expected: `Access-Control-Allow-Origin on a replay`,
        got: allowed ?? 'none',
      })
      const seen = ['idempotent-replayed', 'idempotency-status'].filter((name) => replay.headers.has(name))
      const hidden = [...seen, 'retry-after'].filter(
        (name) => !names(replay, 'access-control-expose-headers', name),
      )
      const expected = 'Access-Control-Expose-Headers with what it sends'
      expect(hidden.length === 0, { sent: ask, expected, got: `a replay without ${hidden.join(', ')}` })
    },
  },
  {
    id: 'P20',
    level: 'MUST',
    title: 'a body over the limit is refused with 413',
    missing: ({ maxBodyBytes }) =>
      maxBodyBytes >= LARGEST_SENT ? 'a body of more than 256 MiB is not sent' : undefined,
    async run(api) {
      const { maxBodyBytes } = api.settings
      const frame = JSON.stringify({ pad: '' }).length
      const ask: Ask = { key: api.newKey(), body: { pad: 'x'.repeat(Math.max(0, maxBodyBytes + 1 - frame)) } }
      const { value: got, runs } = await api.counting(() => api.send(ask))
      // A server that does not read what it refuses may cut the connection before its answer is seen.
      const isRefused = got.status === 413 || got.status === 0
      expect(isRefused && runs === 0, { sent: ask, expected: 'a 413, and no run', got, runs })
    },
  },
]
