import { setImmediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { conformanceReport } from '../../src/testing/index.ts'
import { Api } from '../../src/testing/conformance/api.ts'
import { settle } from '../../src/testing/conformance/options.ts'
import type { Row } from '../../src/testing/conformance/row.ts'
import { Suite } from '../../src/testing/conformance/suite.ts'
import { exchangeBytes } from '../../src/testing/conformance/transport.ts'
import { refusingPort } from '../support/refusing.ts'
import { serveFlawed } from './flawed.ts'
import { serve } from './serve.ts'

test('a row whose time is over sends nothing more, and the next one waits for its end', async () => {
  await using served = await serveFlawed('none')
  const suite = new Suite(settle({ url: served.url, timeoutMs: 1000 }))
  const seen: unknown[] = []
  const row = (id: string, run: Row['run']): Row => ({ id, level: 'MUST', title: id, run })
  const late = suite.check(
    row('late', async (api) => {
      await api.until(async () => false, 60_000)
      const { signal } = new AbortController()
      const replies = [await api.send({ signal }), await api.sendBytes('k')]
      seen.push(replies.map(({ status }) => status))
    }),
  )
  const next = suite.check(row('next', async () => void seen.push('next')))
  expect([(await late).result, (await next).result]).toEqual(['inconclusive', 'pass'])
  expect(seen).toEqual([[0, 0], 'next'])
})

test('a row whose time is over fails where a request has no answer, and is inconclusive where all have one', async () => {
  await using served = await serve(
    (request, response) => void (request.method === 'PUT' || response.end('0')),
  )
  const suite = new Suite(settle({ url: served.url, timeoutMs: 500 }))
  vi.spyOn(suite, 'probe').mockResolvedValue({ bareKeys: false })
  const row = (id: string, run: Row['run']): Row => ({ id, level: 'MUST', title: id, run })
  const slow = row('slow', async (api) => {
    await api.send({ key: 'k' })
    await api.until(async () => false, 60_000)
  })
  const silent = row('silent', async (api) => void (await api.send({ method: 'PUT', key: 'k' })))
  expect(await suite.check(slow)).toMatchObject({
    result: 'inconclusive',
    detail: 'too slow to tell: no end within 500 ms; try a larger timeoutMs',
  })
  expect(await suite.check(silent)).toMatchObject({
    result: 'fail',
    detail: "sent PUT /effects, Idempotency-Key: k; got no answer before the row's 500 ms were over",
  })
})

test('a row that breaks is no failure of the rows after it', async () => {
  await using served = await serveFlawed('none')
  const suite = new Suite(settle({ url: served.url }))
  const row = (id: string, run: Row['run']): Row => ({ id, level: 'MUST', title: id, run })
  await expect(suite.check(row('broken', () => Promise.reject(new RangeError('no'))))).rejects.toThrow('no')
  expect((await suite.check(row('next', async () => {}))).result).toBe('pass')
})

test('a Host of its own takes the place of the one in the URL', async () => {
  const hosts: string[][] = []
  await using served = await serve((request, response) => {
    hosts.push(request.headersDistinct['host'] ?? [])
    response.end()
  })
  const settings = settle({ url: served.url, headers: { Host: 'api.test' } })
  const api = new Api(settings, new AbortController().signal, false)
  await api.send()
  await api.sendBytes('k')
  expect(hosts).toEqual([['api.test'], ['api.test']])
})

test('a body that is too large to be sent is not tried', async () => {
  await using served = await serveFlawed('none')
  const { rows } = await conformanceReport({ url: served.url, maxBodyBytes: 999_999_999, only: ['P20'] })
  expect(rows).toMatchObject([{ result: 'skipped', detail: expect.stringContaining('256 MiB') as string }])
})

test('an address is no name for TLS, of which Node would warn', async () => {
  const heard: string[] = []
  const hear = ({ message }: Error): void => void heard.push(message)
  process.on('warning', hear)
  const { signal } = new AbortController()
  const reply = await exchangeBytes(new URL(`https://127.0.0.1:${await refusingPort()}`), [], signal)
  await setImmediate()
  process.off('warning', hear)
  expect([reply.error, heard]).toEqual(['ECONNREFUSED', []])
})
