import assert from 'node:assert/strict'
import type { IdempotencyStore, Lease } from '../../src/idempotency/index.ts'
import type { Faults } from './faulty-store.ts'
import {
  barrier,
  passing,
  until,
  type Options,
  type Output,
  type Reply,
  type Sent,
  type Service,
} from './service.ts'

/** A row of the conformance table: `id` as in the draft's requirements (D) or this project's own (P). */
export interface ServiceCase {
  readonly id: string
  readonly name: string
  readonly options?: Options
  /** Makes the store fail as told. */
  readonly faults?: Faults
  readonly run: (service: Service) => Promise<void>
}

const KEY = '8e03978e-40d5-43dd-bc93-6894a57f9324'
const LARGE = Uint8Array.from({ length: 1_048_576 }, (_, index) => (index * 7) % 256)

export function problemOf(reply: Reply): Record<string, unknown> {
  assert.equal(reply.headers.get('content-type'), 'application/problem+json', reply.text)
  assert.equal(reply.headers.get('cache-control'), 'no-store')
  const document: unknown = JSON.parse(reply.text)
  assert.ok(typeof document === 'object' && document !== null)
  const problem = { ...document }
  assert.deepEqual(Object.keys(problem).toSorted(), ['code', 'detail', 'status', 'title', 'type'])
  return problem
}

export function assertProblem(reply: Reply, status: number, code: string): void {
  assert.equal(reply.status, status, reply.text)
  const problem = problemOf(reply)
  assert.equal(problem['status'], status)
  assert.equal(problem['code'], code)
}

export function assertReplay(first: Reply, again: Reply): void {
  assert.equal(again.headers.get('idempotent-replayed'), 'true', again.text)
  assert.equal(again.headers.get('cache-control'), 'no-store')
  assert.equal(again.status, first.status)
  assert.equal(again.statusText, first.statusText)
  assert.equal(again.headers.get('content-type'), first.headers.get('content-type'))
  assert.ok(Buffer.from(again.body).equals(first.body), 'the body differs')
}

/** Nobody has seen a key: the store was not asked to remember any. */
function assertUntouched(store: IdempotencyStore): void {
  assert.equal('acquires' in store ? store.acquires : 0, 0)
}

/** What it is, and the header lines. */
const MALFORMED: readonly (readonly [what: string, lines: readonly string[]])[] = [
  ['an open quote', ['"a']],
  ['a list', ['"a", "b"']],
  ['two header lines', ['"a"', '"b"']],
  ['two bare header lines', ['a', 'b']],
  ['the same line twice', ['a', 'a']],
  ['characters outside ASCII', ['"é"']],
  ['a bare character outside ASCII', ['é']],
  ['a tab', ['"a\tb"']],
  ['a bare space', ['a b']],
  ['a bare comma', ['a,b']],
  ['a bare backslash', ['a\\b']],
  ['a stray quote', ['a"b']],
  ['nothing', ['']],
  ['an empty string', ['""']],
  ['garbage after the string', ['"a"b']],
]

const syntax: readonly ServiceCase[] = [
  {
    id: 'D1',
    name: 'the value is a structured-field string',
    async run(service) {
      assert.equal((await service.send({ key: `"${KEY}"` })).status, 201)
    },
  },
  ...[':YWJj:', '123', '?1', 'token', KEY, '@1659578233', '%"x"'].map((key): ServiceCase => ({
    id: 'D2',
    name: `strict syntax refuses ${key}, which is no string`,
    options: { syntax: 'strict' },
    async run(service) {
      assertProblem(await service.send({ key }), 400, 'key-malformed')
      assert.equal(service.count, 0)
    },
  })),
  ...(['lenient', 'strict'] as const).flatMap((syntax) =>
    MALFORMED.map(([what, key]): ServiceCase => ({
      id: 'D3',
      name: `${syntax} syntax refuses ${what}`,
      options: { syntax },
      async run(service) {
        assertProblem(await service.send({ key }), 400, 'key-malformed')
        assert.equal(service.count, 0)
        assertUntouched(service.store)
      },
    })),
  ),
  {
    id: 'D4',
    name: 'unknown parameters are ignored, and a bare key equals its quoted form',
    async run(service) {
      const first = await service.send({ key: '"k";x=1' })
      assertReplay(first, await service.send({ key: '"k"' }))
      assertReplay(first, await service.send({ key: 'k' }))
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'D12',
    name: 'a missing key is refused where it is required, and the problem points to the policy',
    options: { required: true, policyUrl: 'https://api.test/docs/idempotency' },
    async run(service) {
      const reply = await service.send()
      assertProblem(reply, 400, 'key-missing')
      assert.equal(problemOf(reply)['type'], 'https://api.test/docs/idempotency#key-missing')
      assert.equal(reply.headers.get('link'), '<https://api.test/docs/idempotency>; rel="describedby"')
      assert.equal(service.count, 0)
    },
  },
  ...['x'.repeat(256), `"${'x'.repeat(256)}"`].map((key): ServiceCase => ({
    id: 'D16',
    name: `a key of 256 characters is refused before anything is done (${key.length} sent)`,
    async run(service) {
      assertProblem(await service.send({ key }), 400, 'key-malformed')
      assert.equal(service.count, 0)
      assertUntouched(service.store)
      assert.equal((await service.send({ key: 'x'.repeat(255) })).status, 201)
    },
  })),
]

const OTHER_OPERATIONS: readonly (readonly [what: string, change: Sent])[] = [
  ['query', { path: '/effects?a=2' }],
  ['query order', { path: '/effects?b=1&a=1' }],
  ['path', { path: '/other?a=1&b=1' }],
  ['method', { method: 'PUT' }],
]

const identity: readonly ServiceCase[] = [
  {
    id: 'D5, D13, D14',
    name: 'a key that is used for another body is refused each time, and runs nothing',
    async run(service) {
      const first = await service.send({ key: KEY, body: 'A' })
      for (let time = 0; time < 3; time++) {
        assertProblem(await service.send({ key: KEY, body: 'B' }), 422, 'key-reused')
      }
      assertReplay(first, await service.send({ key: KEY, body: 'A' }))
      assert.equal(service.count, 1)
    },
  },
  ...OTHER_OPERATIONS.map(([what, change]): ServiceCase => ({
    id: 'P14',
    name: `the ${what} is part of what a key stands for`,
    async run(service) {
      const request = { key: KEY, path: '/effects?a=1&b=1', body: 'A' }
      await service.send(request)
      assertProblem(await service.send({ ...request, ...change }), 422, 'key-reused')
      assert.equal(service.count, 1)
    },
  })),
  {
    id: 'P14',
    name: 'the host is not part of what a key stands for',
    async run(service) {
      const first = await service.send({ key: KEY, headers: { host: 'a.test' } })
      assertReplay(first, await service.send({ key: KEY, headers: { host: 'b.test' } }))
    },
  },
  {
    id: 'D17',
    name: 'two principals with the same key and body are two operations, by Authorization',
    async run(service) {
      service.handle = ({ body }) => ({ status: 201, body: `${service.count} ${body.length}` })
      const alice = { key: KEY, body: 'A', headers: { authorization: 'Basic alice' } }
      const bob = { key: KEY, body: 'A', headers: { authorization: 'Basic bob' } }
      const first = await service.send(alice)
      assert.equal((await service.send(bob)).text, '2 1')
      assertReplay(first, await service.send(alice))
      assert.equal(service.count, 2)
    },
  },
  {
    id: 'D17',
    name: 'two principals with the same key and body are two operations, by scope',
    options: { scope: (client) => client },
    async run(service) {
      const first = await service.send({ key: KEY, headers: { 'x-client': 'alice' } })
      const second = await service.send({ key: KEY, headers: { 'x-client': 'bob' } })
      assert.deepEqual([first.text, second.text], ['run 1', 'run 2'])
      const rotated = { 'x-client': 'alice', authorization: 'Bearer another token' }
      assertReplay(first, await service.send({ key: KEY, headers: rotated }))
    },
  },
  ...['cookie', 'x-api-key'].map((name): ServiceCase => ({
    id: 'D17',
    name: `somebody else with the same key, told apart by ${name} only, gets no stored bytes`,
    async run(service) {
      service.handle = () => ({ status: 201, headers: { 'set-cookie': 'session=alice' }, body: 'for Alice' })
      const first = await service.send({ key: KEY, body: 'A', headers: { [name]: 'alice' } })
      const other = await service.send({ key: KEY, body: 'A', headers: { [name]: 'bob' } })
      assertProblem(other, 422, 'key-reused')
      assertProblem(await service.send({ key: KEY, body: 'A' }), 422, 'key-reused')
      assertReplay(first, await service.send({ key: KEY, body: 'A', headers: { [name]: 'alice' } }))
      assert.equal(service.count, 1)
    },
  })),
  ...['', 'Bearer', 'Basic ', 'bearer undefined', 'Bearer null'].map((authorization): ServiceCase => ({
    id: 'D17',
    name: `an Authorization that names nobody (${JSON.stringify(authorization)}) makes no client of all who send it`,
    async run(service) {
      const alice = { key: KEY, body: 'A', headers: { authorization, cookie: 'session=alice' } }
      const first = await service.send(alice)
      const bob = await service.send({ ...alice, headers: { authorization, cookie: 'session=bob' } })
      assertProblem(bob, 422, 'key-reused')
      assertReplay(first, await service.send(alice))
      assert.equal(service.count, 1)
    },
  })),
  {
    id: 'D17',
    name: 'clients that scope has no name for are told apart as without it',
    options: { scope: () => undefined },
    async run(service) {
      const first = await service.send({ key: KEY, headers: { authorization: 'Basic alice' } })
      const second = await service.send({ key: KEY, headers: { authorization: 'Basic bob' } })
      assert.deepEqual([first.text, second.text], ['run 1', 'run 2'])
      await service.send({ key: 'other', headers: { cookie: 'session=alice' } })
      assertProblem(
        await service.send({ key: 'other', headers: { cookie: 'session=bob' } }),
        422,
        'key-reused',
      )
    },
  },
  {
    id: 'P19',
    name: 'scope and key are kept apart, wherever a delimiter stands',
    options: { scope: (client) => client },
    async run(service) {
      await service.send({ key: 'b', headers: { 'x-client': 'a:' } })
      await service.send({ key: ':b', headers: { 'x-client': 'a' } })
      assert.equal(service.count, 2)
    },
  },
  {
    id: 'P2',
    name: 'another body under a key in flight is a mismatch, not a conflict',
    async run(service) {
      const gate = barrier()
      service.handle = async () => {
        await gate.opened
        return { status: 201 }
      }
      const first = service.send({ key: KEY, body: 'A' })
      await until(() => service.count === 1)
      assertProblem(await service.send({ key: KEY, body: 'B' }), 422, 'key-reused')
      gate.open()
      assert.equal((await first).status, 201)
    },
  },
]

const BODIES: readonly (readonly [what: string, output: Output])[] = [
  ['204', { status: 204 }],
  ['205', { status: 205 }],
  ['304', { status: 304 }],
  ['an empty body', { status: 200, body: '' }],
  ['no body', { status: 200 }],
  ['0', { status: 200, body: '0', headers: { 'content-type': 'application/json' } }],
  ['false', { status: 200, body: 'false', headers: { 'content-type': 'application/json' } }],
  ['null', { status: 200, body: 'null', headers: { 'content-type': 'application/json' } }],
  ['bytes that are no text', { status: 200, body: Uint8Array.from({ length: 256 }, (_, byte) => byte) }],
  ['a body of several writes', { status: 200, body: ['a', Uint8Array.of(0xff, 0xfe), 'é', ''] }],
  ['1 MiB', { status: 200, body: LARGE, headers: { 'content-type': 'application/octet-stream' } }],
]

const replaying: readonly ServiceCase[] = [
  {
    id: 'D8',
    name: 'the first request is answered as usual, without a marker',
    async run(service) {
      const reply = await service.send({ key: KEY })
      assert.equal(reply.status, 201)
      assert.equal(reply.text, 'run 1')
      for (const name of ['idempotent-replayed', 'idempotency-status', 'cache-control']) {
        assert.equal(reply.headers.get(name), null, name)
      }
    },
  },
  ...[200, 201, 202, 402, 409, 410, 418, 451].map((status): ServiceCase => ({
    id: 'D9, D10',
    name: `a ${status} comes back as it was`,
    async run(service) {
      service.handle = () => ({
        status,
        statusText: 'As It Was',
        headers: {
          'content-type': 'application/vnd.test+json; v=1',
          location: '/orders/1',
          'x-many': ['1', '2'],
        },
        body: `{"run":${service.count}}`,
      })
      const first = await service.send({ key: KEY })
      const again = await service.send({ key: KEY })
      assertReplay(first, again)
      assert.equal(again.statusText, 'As It Was')
      assert.equal(again.headers.get('location'), '/orders/1')
      assert.equal(again.headers.get('x-many'), '1, 2')
      assert.equal(again.headers.get('idempotency-status'), null)
      assert.equal(service.count, 1)
    },
  })),
  ...[500, 502, 504, 507].map((status): ServiceCase => ({
    id: 'D10',
    name: `a ${status} is saved, and says so both times`,
    async run(service) {
      service.handle = () => ({ status, body: 'failed' })
      const first = await service.send({ key: KEY })
      assert.equal(first.headers.get('idempotency-status'), 'stored')
      assert.equal(first.headers.get('idempotent-replayed'), null)
      const again = await service.send({ key: KEY })
      assertReplay(first, again)
      assert.equal(again.headers.get('idempotency-status'), 'stored')
      assert.equal(service.count, 1)
    },
  })),
  ...BODIES.map(([what, output]): ServiceCase => ({
    id: 'P4, P5',
    name: `${what} replays exactly`,
    async run(service) {
      service.handle = () => output
      const first = await service.send({ key: KEY, body: 'A' })
      assertReplay(first, await service.send({ key: KEY, body: 'A' }))
      assert.equal(service.count, 1)
    },
  })),
  {
    id: 'P6',
    name: 'a replay leaves out what belonged to the first exchange',
    options: { headers: { deny: ['X-Private'] } },
    async run(service) {
      const dropped: Record<string, string> = {
        'set-cookie': 'session=1',
        'x-request-id': 'r1',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'a=b',
        'ratelimit-remaining': '5',
        'x-ratelimit-limit': '10',
        'access-control-allow-origin': 'https://a.test',
        'x-private': 'p',
      }
      service.handle = () => ({
        status: 201,
        headers: { ...dropped, etag: '"1"', date: 'Mon, 01 Jan 2001 00:00:00 GMT' },
      })
      const first = await service.send({ key: KEY })
      const again = await service.send({ key: KEY })
      for (const [name, value] of Object.entries(dropped)) {
        assert.equal(first.headers.get(name), value, `first ${name}`)
        assert.equal(again.headers.get(name), null, `replayed ${name}`)
      }
      assert.equal(again.headers.get('etag'), '"1"')
      assert.notEqual(again.headers.get('date'), 'Mon, 01 Jan 2001 00:00:00 GMT')
    },
  },
  {
    id: 'D6',
    name: 'a key is remembered for its time, and the same key runs again after it',
    async run(service) {
      const first = await service.send({ key: KEY })
      await service.clock.advance(24 * 60 * 60 * 1000 - 1)
      assertReplay(first, await service.send({ key: KEY }))
      await service.clock.advance(1)
      assert.equal((await service.send({ key: KEY })).text, 'run 2')
    },
  },
  {
    id: 'P13',
    name: 'an expired key is acquired by exactly one of fifty',
    async run(service) {
      await service.send({ key: KEY })
      await service.clock.advance(24 * 60 * 60 * 1000 + 1)
      const replies = await Promise.all(Array.from({ length: 50 }, () => service.send({ key: KEY })))
      assert.equal(service.count, 2)
      for (const { status } of replies) assert.ok(status === 201 || status === 409, String(status))
    },
  },
]

const concurrency: readonly ServiceCase[] = [
  {
    id: 'D11, D15, P16',
    name: 'a duplicate in flight gets 409 and when to come again; then it gets the response',
    async run(service) {
      const gate = barrier()
      service.handle = async () => {
        await gate.opened
        return { status: 201, body: 'done' }
      }
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      const second = await service.send({ key: KEY })
      assertProblem(second, 409, 'request-in-flight')
      assert.equal(second.headers.get('idempotency-status'), 'in-flight')
      assert.equal(second.headers.get('retry-after'), '1')
      gate.open()
      assertReplay(await first, await service.send({ key: KEY }))
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'P1',
    name: 'of fifty identical requests at once one runs',
    async run(service) {
      service.handle = async () => {
        await service.clock.settle()
        return { status: 201, body: 'done' }
      }
      const replies = await Promise.all(
        Array.from({ length: 50 }, () => service.send({ key: KEY, body: 'A' })),
      )
      assert.equal(service.count, 1)
      const fresh = replies.filter(
        ({ status, headers }) => status === 201 && !headers.has('idempotent-replayed'),
      )
      assert.equal(fresh.length, 1)
      for (const reply of replies) {
        if (reply.status === 409) assertProblem(reply, 409, 'request-in-flight')
        else assert.equal(reply.text, 'done')
      }
    },
  },
  {
    id: 'P3',
    name: 'a client that goes away while the handler runs does not undo what was done',
    async run(service) {
      const gate = barrier()
      service.handle = async () => {
        await gate.opened
        return { status: 201, body: 'done' }
      }
      const client = new AbortController()
      const first = service.send({ key: KEY, body: 'A', signal: client.signal }).catch(() => undefined)
      await until(() => service.count === 1)
      client.abort()
      // Long enough for a server to notice.
      for (let turn = 0; turn < 20; turn++) await service.clock.settle()
      gate.open()
      await first
      await until(() => service.events.some(({ type }) => type === 'completed'))
      const again = await service.send({ key: KEY, body: 'A' })
      assert.equal(again.headers.get('idempotent-replayed'), 'true')
      assert.equal(again.text, 'done')
      assert.equal(service.count, 1)
    },
  },
]

/** A first request that runs until `open` is called, and a duplicate that waits for it. */
async function waiting(
  service: Service,
  sent: Sent = {},
): Promise<{ first: Promise<Reply>; second: Promise<Reply>; open: () => void }> {
  const gate = barrier()
  service.handle = async () => {
    if (service.count === 1) await gate.opened
    return { status: 201, body: `run ${service.count}` }
  }
  const first = service.send({ key: KEY })
  await until(() => service.count === 1)
  const second = service.send({ key: KEY, ...sent })
  // Its deadline and the next look at the store, beside the heartbeat.
  await until(() => service.clock.pendingDelaysMs.includes(50))
  return { first, second, open: () => gate.open() }
}

const inFlight: readonly ServiceCase[] = [
  {
    id: 'P16',
    name: 'Prefer: wait is honoured: the duplicate waits, and gets the response',
    async run(service) {
      const { first, second, open } = await waiting(service, { headers: { prefer: 'wait=5' } })
      open()
      assertReplay(await first, await second)
      assert.equal((await second).headers.get('preference-applied'), 'wait=5')
      assert.equal((await first).headers.get('preference-applied'), null)
      assert.equal(service.count, 1)
      await until(() => service.clock.pending === 0)
      const again = await service.send({ key: KEY, headers: { prefer: 'wait=5' } })
      assert.equal(again.headers.get('preference-applied'), null)
    },
  },
  {
    id: 'P16',
    name: 'a wait ends in time, and says when to come again',
    async run(service) {
      const { first, second, open } = await waiting(service, { headers: { prefer: 'wait=5' } })
      assert.ok(service.clock.pendingDelaysMs.includes(5000))
      await passing(service, 5000, second)
      const reply = await second
      assertProblem(reply, 409, 'request-in-flight')
      assert.equal(reply.headers.get('retry-after'), '1')
      assert.equal(reply.headers.get('idempotency-status'), 'in-flight')
      assert.equal(reply.headers.get('preference-applied'), 'wait=5')
      assert.equal(service.count, 1)
      open()
      assertReplay(await first, await service.send({ key: KEY }))
    },
  },
  {
    id: 'P16',
    name: 'nobody waits longer than a lease, whatever is preferred',
    async run(service) {
      const { second, open } = await waiting(service, { headers: { prefer: 'wait=1000' } })
      assert.ok(service.clock.pendingDelaysMs.includes(30_000))
      open()
      assert.equal((await second).headers.get('preference-applied'), 'wait=30')
    },
  },
  {
    id: 'P16',
    name: 'a service may have duplicates wait unasked, for a lease at most',
    options: { inFlight: 'wait' },
    async run(service) {
      const { first, second, open } = await waiting(service)
      assert.ok(service.clock.pendingDelaysMs.includes(30_000))
      open()
      assertReplay(await first, await second)
      assert.equal((await second).headers.get('preference-applied'), null)
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'P16',
    name: 'where duplicates wait, one that prefers not to is told at once',
    options: { inFlight: 'wait' },
    async run(service) {
      const { first, second, open } = await waiting(service)
      const reply = await service.send({ key: KEY, headers: { prefer: 'wait=0' } })
      assertProblem(reply, 409, 'request-in-flight')
      assertProblem(await service.send({ key: KEY, body: 'B' }), 422, 'key-reused')
      open()
      assertReplay(await first, await second)
    },
  },
  {
    id: 'P16',
    name: 'a duplicate that waits runs when the key is given back',
    options: { inFlight: 'wait' },
    async run(service) {
      const gate = barrier()
      service.handle = async () => {
        if (service.count > 1) return { status: 201, body: 'done' }
        await gate.opened
        return { status: 503 }
      }
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      const patient = { key: KEY, headers: { prefer: 'wait=30' } }
      const others = [service.send(patient), service.send(patient)]
      await until(() => service.clock.pendingDelaysMs.filter((ms) => ms === 30_000).length === 2)
      gate.open()
      assert.equal((await first).status, 503)
      const replies = await Promise.all(others)
      assert.deepEqual(
        replies.map(({ text }) => text),
        ['done', 'done'],
      )
      // Who runs it takes as long as it takes, whatever was preferred.
      for (const applied of ['preference-applied', 'idempotent-replayed'])
        assert.equal(replies.filter(({ headers }) => headers.has(applied)).length, 1)
      assert.equal(service.count, 2)
    },
  },
  {
    id: 'P20',
    name: 'duplicates beyond the limit of those who wait are told at once',
    options: { inFlight: 'wait', maxWaitersPerKey: 1 },
    async run(service) {
      const { first, second, open } = await waiting(service)
      assertProblem(await service.send({ key: KEY }), 409, 'request-in-flight')
      open()
      assertReplay(await first, await second)
    },
  },
  {
    id: 'P16',
    name: 'a client that goes away waits no longer',
    options: { inFlight: 'wait' },
    async run(service) {
      const client = new AbortController()
      const { second, open } = await waiting(service, { signal: client.signal })
      second.catch(() => {})
      client.abort()
      await until(() => service.events.some((event) => event.type === 'waited' && event.ending === 'gone'))
      open()
      await until(() => service.clock.pending === 0)
      assert.equal(service.count, 1)
    },
  },
]

const JSON_BODY = { 'content-type': 'application/json' }

/** Leaves out what a client changes on every attempt. */
function withoutSentAt(_: unknown, body: Uint8Array): string {
  const order: unknown = JSON.parse(new TextDecoder().decode(body))
  return JSON.stringify(order, (name, value: unknown) => (name === 'sentAt' ? undefined : value))
}

const fingerprints: readonly ServiceCase[] = [
  {
    id: 'D7',
    name: 'of a selected payload the rest may change',
    options: { fingerprint: withoutSentAt },
    async run(service) {
      const first = await service.send({ key: KEY, body: '{"amount":5,"sentAt":1}' })
      assertReplay(first, await service.send({ key: KEY, body: '{"amount":5,"sentAt":2}' }))
      assertProblem(await service.send({ key: KEY, body: '{"amount":6,"sentAt":1}' }), 422, 'key-reused')
      const elsewhere = await service.send({ key: KEY, path: '/other', body: '{"amount":5,"sentAt":1}' })
      assertProblem(elsewhere, 422, 'key-reused')
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'P15',
    name: 'as canonical JSON a body may be written differently',
    options: { fingerprint: 'canonical-json' },
    async run(service) {
      const request = { key: KEY, headers: JSON_BODY }
      const first = await service.send({ ...request, body: '{"a":1,"b":[2]}' })
      assertReplay(first, await service.send({ ...request, body: ' { "b": [2.0], "a": 1 }' }))
      assertProblem(await service.send({ ...request, body: '{"a":1,"b":[3]}' }), 422, 'key-reused')
      assertProblem(await service.send({ key: KEY, body: '{"a":1,"b":[2]}' }), 422, 'key-reused')
      assert.equal(service.count, 1)
    },
  },
  ...[
    ['{"id":9007199254740993}', '{"id":9007199254740992}'],
    ['{"a":1,"a":2}', '{"a":2}'],
    ['1e400', '1e401'],
  ].map(([one, other]): ServiceCase => ({
    id: 'P15',
    name: `as canonical JSON ${one} is not ${other}`,
    options: { fingerprint: 'canonical-json' },
    async run(service) {
      const first = await service.send({ key: KEY, headers: JSON_BODY, body: one })
      assertReplay(first, await service.send({ key: KEY, headers: JSON_BODY, body: one }))
      const reply = await service.send({ key: KEY, headers: JSON_BODY, body: other })
      assertProblem(reply, 422, 'key-reused')
    },
  })),
]

const SECRET = { id: '2026', key: new Uint8Array(32).fill(7) }

const encryption: readonly ServiceCase[] = [
  {
    id: 'P21',
    name: 'encrypted responses replay exactly, and the store sees none of them',
    options: { encrypt: { keys: [SECRET] } },
    async run(service) {
      service.handle = () => ({
        status: 201,
        headers: { 'x-a': 'hidden' },
        body: ['hidden', LARGE.subarray(0, 999)],
      })
      const first = await service.send({ key: KEY })
      assertReplay(first, await service.send({ key: KEY }))
      const [lease] = leasesOf(service.store)
      const stored = lease === undefined ? undefined : await service.store.read(lease)
      assert.equal(stored?.[0], 1)
      assert.ok(!Buffer.from(stored ?? []).includes('hidden'))
    },
  },
  {
    id: 'P21',
    name: 'a record in the place of another one is told from it, and never sent',
    options: { encrypt: { keys: [SECRET] } },
    async run(service) {
      const gate = barrier()
      service.handle = async () => {
        if (service.count === 2) await gate.opened
        return { status: 201, body: `secret ${service.count}` }
      }
      await service.send({ key: 'a' })
      const second = service.send({ key: 'b' })
      await until(() => service.count === 2)
      const [a, b] = leasesOf(service.store)
      assert.ok(a !== undefined && b !== undefined)
      const stored = await service.store.read(a)
      await service.store.complete(b, stored ?? new Uint8Array())
      gate.open()
      await second
      const reply = await service.send({ key: 'b' })
      assertProblem(reply, 409, 'outcome-unknown')
      assert.ok(!reply.text.includes('secret'))
      assert.ok(service.events.some((event) => event.type === 'store-error' && event.operation === 'decode'))
      assert.equal(service.count, 2)
    },
  },
]

function leasesOf(store: IdempotencyStore): readonly Lease[] {
  return 'leases' in store ? (store.leases as readonly Lease[]) : []
}

const saving: readonly ServiceCase[] = [
  ...[400, 401, 403, 404, 405, 413, 415, 422, 425, 429, 503].flatMap((status): ServiceCase[] => [
    {
      id: 'save',
      name: `a ${status} gives the key back, for a corrected body too`,
      async run(service) {
        service.handle = () => ({ status, body: `run ${service.count}` })
        const first = await service.send({ key: KEY, body: 'A' })
        assert.equal(first.headers.get('idempotency-status'), null)
        assert.equal((await service.send({ key: KEY, body: 'A' })).text, 'run 2')
        assert.equal((await service.send({ key: KEY, body: 'B' })).text, 'run 3')
      },
    },
    {
      id: 'save',
      name: `a ${status} is saved once the handler has begun`,
      async run(service) {
        service.handle = ({ idempotency }) => {
          idempotency.began()
          return { status, body: `run ${service.count}` }
        }
        const first = await service.send({ key: KEY })
        assert.equal(first.headers.get('idempotency-status'), status === 503 ? 'stored' : null)
        assertReplay(first, await service.send({ key: KEY }))
        assert.equal(service.count, 1)
      },
    },
  ]),
  {
    id: 'save',
    name: 'a throw gives the key back',
    async run(service) {
      service.handle = () => {
        if (service.count === 1) throw new Error('not yet')
        return { status: 201, body: 'done' }
      }
      await service.send({ key: KEY }).catch(() => undefined)
      const again = await service.send({ key: KEY })
      assert.equal(again.text, 'done')
      assert.equal(again.headers.get('idempotent-replayed'), null)
    },
  },
  {
    id: 'save',
    name: 'what is thrown need not be an error to give the key back',
    async run(service) {
      service.handle = () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what a handler may do
        if (service.count === 1) throw { reason: 'no error' }
        return { status: 201, body: 'done' }
      }
      await service.send({ key: KEY }).catch(() => undefined)
      assert.equal((await service.send({ key: KEY })).text, 'done')
    },
  },
  {
    id: 'save',
    name: 'a throw after the handler has begun is saved as a 500, and its own client is told the same',
    async run(service) {
      service.handle = ({ idempotency }) => {
        idempotency.began()
        throw new Error('secret detail')
      }
      const first = await service.send({ key: KEY }).catch(() => undefined)
      const again = await service.send({ key: KEY })
      if (first !== undefined) {
        assertReplay(first, again)
        assert.equal(first.headers.get('idempotency-status'), 'stored')
      }
      assert.equal(again.status, 500)
      assert.equal(again.headers.get('idempotent-replayed'), 'true')
      assert.equal(again.headers.get('idempotency-status'), 'stored')
      assert.ok(!again.text.includes('secret'))
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'save',
    name: 'an own rule decides what gives the key back',
    options: {
      release: ({ status, headers }, { threw, began }) =>
        !threw && !began && status === 200 && headers.length > 0,
    },
    async run(service) {
      service.handle = () => ({ status: 200, headers: { 'x-a': 'b' }, body: `run ${service.count}` })
      await service.send({ key: KEY })
      assert.equal((await service.send({ key: KEY })).text, 'run 2')
      service.handle = () => ({ status: 503, headers: { 'x-a': 'b' }, body: `run ${service.count}` })
      assert.equal((await service.send({ key: KEY })).headers.get('idempotency-status'), 'stored')
      assert.equal((await service.send({ key: KEY })).headers.get('idempotent-replayed'), 'true')
    },
  },
]

const bypassing: readonly ServiceCase[] = [
  ...['GET', 'HEAD', 'OPTIONS'].map((method): ServiceCase => ({
    id: 'P17',
    name: `${method} is not protected, and says that a key is ignored`,
    async run(service) {
      for (const run of [1, 2]) {
        const reply = await service.send({ method, key: 'not "even" a key' })
        assert.equal(reply.status, 201)
        assert.equal(reply.headers.get('idempotency-status'), 'ignored')
        assert.equal(service.count, run)
      }
      assert.equal((await service.send({ method })).headers.get('idempotency-status'), null)
      assertUntouched(service.store)
    },
  })),
  {
    id: 'P18',
    name: 'a preflight reaches the application, whose headers stay its own on every answer',
    async run(service) {
      service.handle = ({ method }) => ({
        status: method === 'OPTIONS' ? 204 : 201,
        headers: { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'Idempotency-Key' },
      })
      const preflight = await service.send({ method: 'OPTIONS' })
      assert.equal(preflight.status, 204)
      assert.equal(preflight.headers.get('access-control-allow-headers'), 'Idempotency-Key')
    },
  },
  {
    id: 'methods',
    name: 'which methods are protected is for the application to say',
    options: { methods: ['post', 'GET'] },
    async run(service) {
      const first = await service.send({ method: 'GET', key: KEY })
      assertReplay(first, await service.send({ method: 'GET', key: KEY }))
      assert.equal(
        (await service.send({ method: 'PUT', key: KEY })).headers.get('idempotency-status'),
        'ignored',
      )
    },
  },
  {
    id: 'required',
    name: 'a request without a key passes unless keys are required',
    async run(service) {
      await service.send({ body: 'A' })
      assert.equal((await service.send({ body: 'A' })).text, 'run 2')
    },
  },
]

const limits: readonly ServiceCase[] = [
  {
    id: 'P20',
    name: 'a body over the limit is refused, one of exactly the limit is not',
    options: { maxBodyBytes: 1000 },
    async run(service) {
      assertProblem(await service.send({ key: KEY, body: 'x'.repeat(1001) }), 413, 'body-too-large')
      assert.equal(service.count, 0)
      assertUntouched(service.store)
      assert.equal((await service.send({ key: KEY, body: 'x'.repeat(1000) })).status, 201)
    },
  },
  {
    id: 'P20',
    name: 'keys beyond the limit of a client are refused; its other keys, and other clients, are not',
    options: { maxKeysPerScope: 2, scope: (client) => client },
    async run(service) {
      const alice = { headers: { 'x-client': 'alice' } }
      const first = await service.send({ ...alice, key: '1' })
      await service.send({ ...alice, key: '2' })
      const third = await service.send({ ...alice, key: '3' })
      assertProblem(third, 429, 'too-many-keys')
      assert.equal(third.headers.get('retry-after'), String(24 * 60 * 60))
      assertReplay(first, await service.send({ ...alice, key: '1' }))
      assert.equal((await service.send({ key: '3', headers: { 'x-client': 'bob' } })).status, 201)
    },
  },
  {
    id: 'P20',
    name: 'a response over the limit is sent, and its duplicates are told that it is gone',
    options: { maxResponseBytes: 1000 },
    async run(service) {
      service.handle = () => ({ status: 201, body: ['x'.repeat(600), 'y'.repeat(600)] })
      const first = await service.send({ key: KEY })
      assert.equal(first.status, 201)
      assert.equal(first.text, 'x'.repeat(600) + 'y'.repeat(600))
      assertProblem(await service.send({ key: KEY }), 409, 'response-not-replayable')
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'stream',
    name: 'an event stream is sent, and its duplicates are told that it is gone',
    async run(service) {
      service.handle = () => ({
        status: 200,
        headers: { 'content-type': 'text/event-stream; charset=utf-8' },
        body: ['data: 1\n\n', 'data: 2\n\n'],
      })
      const first = await service.send({ key: KEY })
      assert.equal(first.text, 'data: 1\n\ndata: 2\n\n')
      const again = await service.send({ key: KEY })
      assertProblem(again, 409, 'response-not-replayable')
      assert.equal(again.headers.get('retry-after'), null)
      assert.equal(again.headers.get('idempotency-status'), null)
      assert.equal(service.count, 1)
    },
  },
]

const failures: readonly ServiceCase[] = [
  {
    id: 'P9',
    name: 'an acquire that committed but whose answer got lost is found again: the request runs once',
    faults: { acquire: ['after'] },
    async run(service) {
      const first = service.send({ key: KEY })
      await passing(service, 1000, first)
      assert.equal((await first).status, 201)
      assert.equal(service.count, 1)
      assertReplay(await first, await service.send({ key: KEY }))
    },
  },
  {
    id: 'P9',
    name: 'an acquire that committed after everybody gave up does not block the key',
    faults: { acquire: ['hang', 'hang'] },
    async run(service) {
      const first = service.send({ key: KEY })
      await passing(service, 2000, first)
      assertProblem(await first, 503, 'store-unavailable')
      // The key is given back behind the answer's back: a store that is somewhere else takes a moment for that.
      let again = await service.send({ key: KEY })
      for (let look = 0; again.status === 409 && look < 100; look++) again = await service.send({ key: KEY })
      assert.equal(again.text, 'run 1')
    },
  },
  {
    id: 'P10',
    name: 'a store that hangs costs a 503 within its bound, and runs nothing',
    faults: { acquire: Array.from({ length: 20 }, () => 'hang' as const) },
    async run(service) {
      const reply = service.send({ key: KEY })
      await until(() => service.clock.pending > 0)
      await service.clock.advance(2000)
      assertProblem(await reply, 503, 'store-unavailable')
      assert.equal((await reply).headers.get('retry-after'), '1')
      assert.equal(service.count, 0)
    },
  },
  {
    id: 'P10',
    name: 'a store that fails costs a 503 within its bound, and runs nothing',
    faults: { acquire: Array.from({ length: 100 }, () => 'before' as const) },
    async run(service) {
      const reply = service.send({ key: KEY })
      await until(() => service.clock.pending > 0)
      await service.clock.advance(2000)
      assertProblem(await reply, 503, 'store-unavailable')
      assert.equal(service.count, 0)
    },
  },
  {
    id: 'P11',
    name: 'a completion that fails at first is tried again',
    faults: { complete: ['before', 'after'] },
    async run(service) {
      const first = service.send({ key: KEY })
      await passing(service, 1000, first)
      assert.equal((await first).headers.get('idempotency-status'), null)
      assertReplay(await first, await service.send({ key: KEY }))
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'P11',
    name: 'a completion that never succeeds: the response is sent as unsaved, and nothing runs again by itself',
    faults: { complete: Array.from({ length: 100 }, () => 'before' as const) },
    async run(service) {
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      await service.clock.advance(2000)
      assert.equal((await first).text, 'run 1')
      assert.equal((await first).headers.get('idempotency-status'), 'unsaved')
      assertProblem(await service.send({ key: KEY }), 409, 'request-in-flight')
      await service.clock.advance(30_000)
      const later = await service.send({ key: KEY })
      assertProblem(later, 409, 'outcome-unknown')
      assert.equal(later.headers.get('retry-after'), null)
      assert.equal(later.headers.get('idempotency-status'), null)
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'P8',
    name: 'an owner that was overtaken discards its response and sends the recorded one',
    options: { abandoned: 'takeover' },
    faults: { heartbeat: Array.from({ length: 100 }, () => 'before' as const) },
    async run(service) {
      const gate = barrier()
      let aborted = false
      service.handle = async ({ idempotency }) => {
        if (service.count > 1) return { status: 201, body: `second, fence ${idempotency.fence}` }
        idempotency.signal.addEventListener('abort', () => (aborted = true))
        await gate.opened
        return { status: 201, headers: { 'x-first': 'yes' }, body: 'first' }
      }
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      await service.clock.advance(30_001)
      assert.ok(aborted, 'the handler was not told')
      assert.equal((await service.send({ key: KEY })).text, 'second, fence 2')
      gate.open()
      const late = await first
      assert.equal(late.text, 'second, fence 2')
      assert.equal(late.headers.get('x-first'), null)
      assert.equal(late.headers.get('idempotent-replayed'), 'true')
      assert.deepEqual(
        service.events
          .filter(({ type }) => type === 'stale' || type === 'lease-lost')
          .map(({ type }) => type),
        ['lease-lost', 'stale'],
      )
    },
  },
]

const handling: readonly ServiceCase[] = [
  {
    id: 'body',
    name: 'the handler finds the body as it was sent',
    async run(service) {
      const sizes: number[] = []
      service.handle = ({ body }) => {
        sizes.push(body.length)
        return { status: 200, body }
      }
      for (const [key, body] of Object.entries({
        none: '',
        one: 'x',
        binary: Uint8Array.of(0, 255, 10),
        large: LARGE,
      })) {
        const reply = await service.send({ key, body, method: 'PUT' })
        assert.ok(Buffer.from(reply.body).equals(Buffer.from(body)), key)
      }
      assert.deepEqual(sizes, [0, 1, 3, LARGE.length])
    },
  },
  {
    id: 'context',
    name: 'the handler learns key and fence, and gets a downstream key that stays the same on a retry',
    async run(service) {
      const seen: unknown[] = []
      service.handle = ({ idempotency }) => {
        seen.push([idempotency.key, idempotency.fence, idempotency.downstreamKey('charge')])
        return { status: 503 }
      }
      await service.send({ key: '"k"' })
      await service.send({ key: 'k' })
      await service.send({ key: 'other' })
      const [first, second, third] = seen.map((entry) => (Array.isArray(entry) ? entry : []))
      assert.deepEqual(first?.slice(0, 2), ['k', 1])
      assert.deepEqual(second?.slice(0, 2), ['k', 2])
      assert.equal(first?.[2], second?.[2])
      assert.notEqual(first?.[2], third?.[2])
      assert.match(String(first?.[2]), /^[\x21\x23-\x2B\x2D-\x5B\x5D-\x7E]{1,255}$/)
    },
  },
  {
    id: 'context',
    name: 'without a key the handler has the same surface',
    async run(service) {
      service.handle = ({ idempotency }) => {
        idempotency.began()
        const { key, fence, signal } = idempotency
        const names = [
          idempotency.downstreamKey('a'),
          idempotency.downstreamKey('a'),
          idempotency.downstreamKey('b'),
        ]
        assert.equal(names[0], names[1])
        assert.notEqual(names[0], names[2])
        return { status: 201, body: `${key} ${fence} ${signal.aborted}` }
      }
      assert.equal((await service.send()).text, 'undefined 0 false')
    },
  },
  {
    id: 'lease',
    name: 'a long handler keeps its key as long as it runs',
    async run(service) {
      const gate = barrier()
      service.handle = async ({ idempotency }) => {
        await gate.opened
        return { status: 201, body: String(idempotency.signal.aborted) }
      }
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      for (let turn = 0; turn < 10; turn++) {
        await service.clock.advance(10_000)
        // The store has answered the heartbeat when nothing waits but the next one.
        await until(() => service.clock.pending === 1)
        assertProblem(await service.send({ key: KEY }), 409, 'request-in-flight')
      }
      gate.open()
      assert.equal((await first).text, 'false')
      assertReplay(await first, await service.send({ key: KEY }))
    },
  },
]

const POLICY = 'https://api.test/docs/idempotency'

function assertPointsToPolicy(reply: Reply, status: number, code: string): void {
  assertProblem(reply, status, code)
  assert.equal(problemOf(reply)['type'], `${POLICY}#${code}`)
  assert.equal(reply.headers.get('link'), `<${POLICY}>; rel="describedby"`)
}

const policy: readonly ServiceCase[] = [
  {
    id: 'D6, D12',
    name: 'every problem points to the policy, whatever it is about',
    options: { policyUrl: POLICY, required: true, maxBodyBytes: 10, maxResponseBytes: 10 },
    faults: { heartbeat: Array.from({ length: 100 }, () => 'before' as const) },
    async run(service) {
      assertPointsToPolicy(await service.send(), 400, 'key-missing')
      assertPointsToPolicy(await service.send({ key: 'a b' }), 400, 'key-malformed')
      assertPointsToPolicy(await service.send({ key: '1', body: 'x'.repeat(11) }), 413, 'body-too-large')
      const gate = barrier()
      service.handle = async () => {
        await gate.opened
        return { status: 201, body: 'longer than is kept' }
      }
      const first = service.send({ key: '1' })
      await until(() => service.count === 1)
      assertPointsToPolicy(await service.send({ key: '1' }), 409, 'request-in-flight')
      assertPointsToPolicy(await service.send({ key: '1', body: 'B' }), 422, 'key-reused')
      await service.clock.advance(30_001)
      assertPointsToPolicy(await service.send({ key: '1' }), 409, 'outcome-unknown')
      gate.open()
      await first
      assertPointsToPolicy(await service.send({ key: '1' }), 409, 'response-not-replayable')
    },
  },
  {
    id: 'D6, D12',
    name: 'a problem of a throw points to the policy',
    options: { policyUrl: POLICY },
    async run(service) {
      service.handle = ({ idempotency }) => {
        idempotency.began()
        throw new Error('broken')
      }
      await service.send({ key: KEY }).catch(() => undefined)
      const reply = await service.send({ key: KEY })
      // Where a framework has an error handler its page is recorded in place of a problem.
      const isPage = reply.headers.get('content-type')?.startsWith('text/html') === true
      if (!isPage) assertPointsToPolicy(reply, 500, 'handler-failed')
    },
  },
  {
    id: 'D6, D12',
    name: 'a problem of limits points to the policy',
    options: { policyUrl: POLICY, maxKeysPerScope: 1, scope: (client) => client },
    async run(service) {
      const alice = { 'x-client': 'alice' }
      await service.send({ key: '1', headers: alice })
      assertPointsToPolicy(await service.send({ key: '2', headers: alice }), 429, 'too-many-keys')
    },
  },
  {
    id: 'D6, D12',
    name: 'a problem of the store points to the policy',
    options: { policyUrl: POLICY },
    faults: { acquire: Array.from({ length: 100 }, () => 'before' as const) },
    async run(service) {
      const reply = service.send({ key: KEY })
      await until(() => service.clock.pending > 0)
      await service.clock.advance(2000)
      assertPointsToPolicy(await reply, 503, 'store-unavailable')
    },
  },
]

export const serviceCases: readonly ServiceCase[] = [
  ...syntax,
  ...identity,
  ...replaying,
  ...concurrency,
  ...inFlight,
  ...fingerprints,
  ...encryption,
  ...saving,
  ...bypassing,
  ...limits,
  ...failures,
  ...handling,
  ...policy,
]
