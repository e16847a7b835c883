import type { Api, Ask } from '../api.ts'
import { describe, header, isSuccess, textOf, type Reply } from '../exchange.ts'
import { expect, expectEach, expectRefused, expectReplay } from '../expect.ts'
import type { Row } from '../row.ts'

type Probe = readonly [what: string, lines: string | readonly string[]]

const isBadRequest = ({ status }: Reply): boolean => status === 400

async function expectAllRefused(api: Api, probes: readonly Probe[]): Promise<void> {
  await expectEach(
    probes,
    ([what]) => what,
    async ([, key]) => {
      await expectRefused(api, { key, body: {} }, isBadRequest, 'a 400')
    },
  )
}

/** Each made anew: a value that was taken once would be a duplicate the next time. */
const malformed = (id: string): readonly Probe[] => [
  ['an open quote', `"${id}`],
  ['a list', `"${id}", "b"`],
  ['two header lines', [`"${id}-1"`, `"${id}-2"`]],
  ['a character outside ASCII', `"${id}é"`],
  ['a tab', `"${id}\tb"`],
]

const otherItems = (id: string): readonly Probe[] => [
  ['a byte sequence', `:${btoa(id)}:`],
  ['a number', String(Number.parseInt(id.slice(0, 8), 16))],
  ['a boolean', '?1'],
  ['a token', `t${id}`],
]

/** Whether a refusal points to documentation. */
function pointsSomewhere(reply: Reply): boolean {
  if (/rel="?describedby/i.test(header(reply, 'link') ?? '')) return true
  try {
    const problem: unknown = JSON.parse(textOf(reply))
    return typeof problem === 'object' && problem !== null && 'type' in problem && isUrl(problem.type)
  } catch {
    return false
  }
}

const isUrl = (type: unknown): boolean => typeof type === 'string' && /^(?:https?:|\/)/.test(type)

export const syntax: readonly Row[] = [
  {
    id: 'D1',
    level: 'MUST',
    title: 'a quoted string (RFC 9651) is a key',
    async run(api) {
      const ask: Ask = { key: `"${crypto.randomUUID()}"`, body: {} }
      const got = await api.send(ask)
      expect(isSuccess(got), { sent: ask, expected: 'a 2xx', got })
    },
  },
  {
    id: 'D2',
    level: 'MUST',
    title: 'items that are no strings are refused with 400',
    missing: ({ strict }) => (strict ? undefined : 'for APIs that take quoted strings only: --strict'),
    run: (api) => expectAllRefused(api, otherItems(crypto.randomUUID())),
  },
  {
    id: 'D3',
    level: 'MUST',
    title: 'malformed values and lists are refused with 400',
    run: (api) => expectAllRefused(api, malformed(crypto.randomUUID())),
  },
  {
    id: 'D4',
    level: 'SHOULD',
    title: 'parameters of the key are ignored: "k";x=1 equals "k"',
    needs: ['D1', 'D9'],
    async run(api) {
      const key = api.newKey()
      const first = await api.send({ key: `${key};x=1`, body: {} })
      await expectReplay(api, first, { key, body: {} })
    },
  },
  {
    id: 'D12',
    level: 'SHOULD',
    title: 'a missing key is refused with 400 and a link to the documentation',
    missing: ({ required }) => (required ? undefined : 'for APIs that require keys: --required'),
    async run(api) {
      const ask: Ask = { body: {} }
      const got = await expectRefused(api, ask, isBadRequest, 'a 400')
      const expected = 'a problem whose "type" is a URL, or a Link with rel="describedby"'
      expect(pointsSomewhere(got), { sent: ask, expected, got: describe(got) })
    },
  },
  {
    id: 'D16',
    level: 'SHOULD',
    title: 'keys of 256 characters and with control characters are refused',
    async run(api) {
      await expectRefused(api, { key: api.written('x'.repeat(256)), body: {} }, isBadRequest, 'a 400')
      for (const character of ['\u0001', '\u007f']) {
        const key = api.written(`${crypto.randomUUID()}${character}`)
        const { value: got, runs } = await api.counting(() => api.sendBytes(key))
        const refused = (isBadRequest(got) || got.status === 0) && runs === 0
        expect(refused, { sent: { key }, expected: 'a 400 or a closed connection, and no run', got, runs })
      }
    },
  },
]
