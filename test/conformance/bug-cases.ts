import assert from 'node:assert/strict'
import { assertProblem, assertReplay, type ServiceCase } from './service-cases.ts'
import { barrier, until, type Output } from './service.ts'

const KEY = 'k'
const JSON_TYPE = { 'content-type': 'application/json' }
const HANG = Array.from({ length: 50 }, () => 'hang' as const)
const FAIL = Array.from({ length: 100 }, () => 'before' as const)

const FALSY: readonly (readonly [what: string, output: Output])[] = [
  ['a 204', { status: 204 }],
  ['an empty body', { status: 200, body: '' }],
  ['a body of 0', { status: 200, body: '0', headers: JSON_TYPE }],
  ['a body of false', { status: 200, body: 'false', headers: JSON_TYPE }],
  ['a body of ""', { status: 200, body: '""', headers: JSON_TYPE }],
  ['a body of null', { status: 200, body: 'null', headers: JSON_TYPE }],
]

/** What went wrong in other packages, each as the behaviour that was missing there. */
export const bugCases: readonly ServiceCase[] = [
  ...FALSY.map(([what, output]): ServiceCase => ({
    id: 'falsy',
    name: `${what} is neither run again on replay nor turned into a 500`,
    async run(service) {
      service.handle = () => output
      const first = await service.send({ key: KEY })
      for (let time = 0; time < 2; time++) assertReplay(first, await service.send({ key: KEY }))
      assert.equal(service.count, 1)
    },
  })),
  {
    id: 'binary',
    name: 'bytes that are no UTF-8 are not decoded as text on the way',
    async run(service) {
      const body = Uint8Array.from({ length: 4096 }, (_, index) => (index * 131) % 256)
      service.handle = () => ({ status: 200, headers: { 'content-type': 'image/png' }, body })
      const first = await service.send({ key: KEY, body })
      const again = await service.send({ key: KEY, body })
      assertReplay(first, again)
      assert.ok(Buffer.from(again.body).equals(body))
    },
  },
  {
    id: 'error page',
    name: 'an error response is replayed as itself, not through an error handler as HTML',
    async run(service) {
      service.handle = () => ({ status: 502, headers: JSON_TYPE, body: '{"error":"declined"}' })
      const first = await service.send({ key: KEY })
      const again = await service.send({ key: KEY })
      assertReplay(first, again)
      assert.equal(again.headers.get('content-type'), 'application/json')
      assert.equal(again.text, '{"error":"declined"}')
    },
  },
  {
    id: 'write and end',
    name: 'a response in several writes is captured: its duplicates do not get 409 for ever',
    async run(service) {
      service.handle = () => ({ status: 200, body: ['one ', 'two ', 'three'] })
      const first = await service.send({ key: KEY })
      const again = await service.send({ key: KEY })
      assertReplay(first, again)
      assert.equal(again.text, 'one two three')
    },
  },
  {
    id: 'finish',
    name: 'a response is saved although the client is gone and the response never finishes',
    async run(service) {
      const gate = barrier()
      service.handle = async () => {
        await gate.opened
        return { status: 201, body: 'done' }
      }
      const client = new AbortController()
      const first = service.send({ key: KEY, signal: client.signal }).catch(() => undefined)
      await until(() => service.count === 1)
      client.abort()
      for (let turn = 0; turn < 20; turn++) await service.clock.settle()
      gate.open()
      await first
      await until(() => service.events.some(({ type }) => type === 'completed'))
      assert.equal((await service.send({ key: KEY })).headers.get('idempotent-replayed'), 'true')
      assert.equal(service.count, 1)
    },
  },
  {
    id: 'save failed',
    name: 'a save that fails is no unhandled rejection, and the client is told',
    faults: { complete: FAIL },
    async run(service) {
      const unhandled: unknown[] = []
      const listen = (error: unknown): void => void unhandled.push(error)
      process.on('unhandledRejection', listen)
      const first = service.send({ key: KEY })
      await until(() => service.count === 1)
      await service.clock.advance(2000)
      assert.equal((await first).headers.get('idempotency-status'), 'unsaved')
      for (let turn = 0; turn < 5; turn++) await service.clock.settle()
      process.off('unhandledRejection', listen)
      assert.deepEqual(unhandled, [])
    },
  },
  {
    id: 'store down',
    name: 'a store that never answers does not hang the request, before the handler or after it',
    faults: { acquire: HANG },
    async run(service) {
      const reply = service.send({ key: KEY })
      await until(() => service.clock.pending > 0)
      await service.clock.advance(2000)
      assertProblem(await reply, 503, 'store-unavailable')
    },
  },
  {
    id: 'store down',
    name: 'a store that never answers the completion does not hang the response',
    faults: { complete: HANG },
    async run(service) {
      const reply = service.send({ key: KEY })
      await until(() => service.count === 1)
      await service.clock.advance(2000)
      assert.equal((await reply).status, 201)
    },
  },
  {
    id: 'get then set',
    name: 'an acquire is one step: two at once never both run',
    async run(service) {
      for (let round = 0; round < 20; round++) {
        const key = `round-${round}`
        await Promise.all([service.send({ key }), service.send({ key })])
        assert.equal(service.count, round + 1)
      }
    },
  },
  {
    id: 'stale owner',
    name: 'an overtaken owner neither overwrites nor deletes what its successor recorded',
    options: { abandoned: 'takeover' },
    faults: { heartbeat: FAIL },
    async run(service) {
      for (const [key, late] of Object.entries({
        overwrite: { status: 201, body: 'late' },
        delete: { status: 503, body: 'late' },
      })) {
        const gate = barrier()
        const before = service.count
        service.handle = async () => {
          if (service.count > before + 1) return { status: 201, body: 'successor' }
          await gate.opened
          return late
        }
        const first = service.send({ key })
        await until(() => service.count === before + 1)
        await service.clock.advance(30_001)
        const second = await service.send({ key })
        gate.open()
        assert.equal((await first).text, 'successor', key)
        assertReplay(second, await service.send({ key }))
      }
    },
  },
  {
    id: 'payload hash',
    name: 'what was asked is remembered after completion, not only while the request runs',
    async run(service) {
      await service.send({ key: KEY, body: 'A' })
      assertProblem(await service.send({ key: KEY, body: 'B' }), 422, 'key-reused')
    },
  },
  {
    id: 'leak',
    name: 'Bob, who happens to send the key of Alice, gets neither her body nor her cookie',
    async run(service) {
      service.handle = ({ body }) => ({
        status: 201,
        headers: { 'set-cookie': 'session=alice' },
        body: `secret of ${new TextDecoder().decode(body)}`,
      })
      await service.send({ key: KEY, body: 'same', headers: { authorization: 'Bearer alice' } })
      const bob = await service.send({ key: KEY, body: 'same', headers: { authorization: 'Bearer bob' } })
      assert.equal(bob.headers.get('idempotent-replayed'), null)
      assert.equal(service.count, 2)
      await service.send({ key: 'k2', body: 'same', headers: { cookie: 'id=alice' } })
      const mallory = await service.send({ key: 'k2', body: 'same' })
      assertProblem(mallory, 422, 'key-reused')
      assert.equal(mallory.headers.get('set-cookie'), null)
      assert.ok(!mallory.text.includes('secret'))
    },
  },
  {
    id: 'same body',
    name: 'another key with the same body is another operation, not a conflict',
    async run(service) {
      assert.equal((await service.send({ key: '1', body: 'A' })).text, 'run 1')
      assert.equal((await service.send({ key: '2', body: 'A' })).text, 'run 2')
    },
  },
  {
    id: 'query',
    name: 'the query string is not ignored',
    async run(service) {
      await service.send({ key: KEY, path: '/effects?amount=1' })
      assertProblem(await service.send({ key: KEY, path: '/effects?amount=1000' }), 422, 'key-reused')
    },
  },
  {
    id: 'bytes',
    name: 'by default the bytes count: reordered JSON is another request, deliberately',
    async run(service) {
      await service.send({ key: KEY, body: '{"a":1,"b":2}' })
      assertProblem(await service.send({ key: KEY, body: '{"b":2,"a":1}' }), 422, 'key-reused')
    },
  },
  {
    id: 'control header',
    name: 'no header of the client makes the layer skip the handler or itself',
    async run(service) {
      const headers = {
        'idempotent-replayed': 'true',
        'idempotency-status': 'stored',
        'x-idempotent-replayed': 'true',
        'x-idempotency-skip': 'true',
        'cache-control': 'no-cache',
        prefer: 'respond-async',
      }
      const first = await service.send({ key: KEY, headers })
      assert.equal(first.text, 'run 1')
      assertReplay(first, await service.send({ key: KEY, headers }))
    },
  },
  {
    id: 'namespace',
    name: 'a key can not reach into the records of another client',
    options: { scope: (client) => client },
    async run(service) {
      await service.send({ key: 'b:c', headers: { 'x-client': 'a' } })
      for (const [client, key] of [
        ['a:b', 'c'],
        ['a', 'b/c'],
        ['', 'a:b:c'],
      ]) {
        const reply = await service.send({ key, headers: { 'x-client': client || 'nobody' } })
        assert.equal(reply.headers.get('idempotent-replayed'), null)
      }
      assert.equal(service.count, 4)
    },
  },
  {
    id: 'expired',
    name: 'an expired key runs again at once, whether it has been purged or not',
    async run(service) {
      await service.send({ key: KEY, body: 'A' })
      await service.clock.advance(24 * 60 * 60 * 1000)
      assert.equal((await service.send({ key: KEY, body: 'A' })).text, 'run 2')
      await service.clock.advance(24 * 60 * 60 * 1000)
      assert.equal((await service.send({ key: KEY, body: 'B' })).text, 'run 3')
    },
  },
  {
    id: 'units',
    name: 'a time to live is milliseconds in every store',
    options: { ttlMs: 60_000 },
    async run(service) {
      const first = await service.send({ key: KEY })
      await service.clock.advance(59_999)
      assertReplay(first, await service.send({ key: KEY }))
      await service.clock.advance(1)
      assert.equal((await service.send({ key: KEY })).text, 'run 2')
    },
  },
  {
    id: 'bare UUID',
    name: 'a bare UUID that starts with a digit, or with a letter, is a key',
    async run(service) {
      for (const key of [
        '8e03978e-40d5-43dd-bc93-6894a57f9324',
        'fe03978e-40d5-43dd-bc93-6894a57f9324',
        '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      ]) {
        const first = await service.send({ key })
        assert.equal(first.status, 201)
        assertReplay(first, await service.send({ key: `"${key}"` }))
      }
    },
  },
  {
    id: 'duplicate lines',
    name: 'two key lines are refused, although they may arrive as one',
    async run(service) {
      for (const key of [
        ['"a"', '"b"'],
        ['a', 'b'],
        ['a', 'a'],
      ]) {
        assertProblem(await service.send({ key }), 400, 'key-malformed')
      }
      assert.equal(service.count, 0)
    },
  },
]
