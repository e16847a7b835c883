import { isHoldfastError } from 'holdfast'
import { reset, resetAfter } from 'holdfast/testing'
import { describe, expect, test } from 'vitest'
import { sdks } from './cases/index.ts'
import type { Sdk } from './sdk.ts'
import { apiOf, holdfast, keysOf, unavailable } from './support.ts'

/** What stands at `error.cause`, say. */
const at = (path: Sdk['errorIn'], error: unknown): unknown =>
  path === 'error' ? error : Reflect.get(error as object, path.slice('error.'.length))

describe.each(sdks.map((sdk) => [sdk.name, sdk] as const))('%s', (_, sdk) => {
  test.each([
    ['a 503', unavailable],
    ['a reset', reset()],
  ])('a read survives %s', async (_, fault) => {
    const server = await apiOf(sdk.api, [fault])
    expect(await sdk.read(sdk.plugged(holdfast(), server.url))).toBe('o-17')
    expect(server.requests).toHaveLength(2)
    expect(new Set(server.requests.map(({ path }) => path)).size).toBe(1)
  })

  test.each([
    ['a 503', unavailable],
    ['a lost answer', resetAfter()],
  ])('a write survives %s, with one key and the same bytes', async (_, fault) => {
    const server = await apiOf(sdk.api, [fault])
    expect(await sdk.write(sdk.plugged(holdfast(), server.url))).toBe('o-17')
    expect(server.requests).toHaveLength(2)
    const [first, second] = keysOf(server)
    expect(first).toBeTypeOf('string')
    expect(second).toBe(first)
    const [body, again] = server.requests.map(({ body }) => body?.toString())
    expect(again).toBe(body)
    expect(new Set(server.requests.map(({ headers }) => headers['content-type'])).size).toBe(1)
  })

  test('two writes have two keys', async () => {
    const server = await apiOf(sdk.api, [])
    const client = sdk.plugged(holdfast(), server.url)
    await sdk.write(client)
    await sdk.write(client)
    expect(new Set(keysOf(server)).size).toBe(2)
  })

  test.each(['read', 'write'] as const)('by itself it sends a %s once', async (kind) => {
    const server = await apiOf(sdk.api, () => unavailable)
    await expect(sdk[kind](sdk.plugged(holdfast({ retry: false }), server.url))).rejects.toThrow()
    expect(server.requests).toHaveLength(1)
  })

  test('an open circuit reaches the caller, and no request the API', async () => {
    const server = await apiOf(sdk.api, [])
    const fetch = holdfast()
    fetch.circuits.get(server.url).isolate()
    const error: unknown = await sdk.read(sdk.plugged(fetch, server.url)).catch((error: unknown) => error)
    expect(at(sdk.errorIn, error)).toSatisfy(isHoldfastError)
    expect(at(sdk.errorIn, error)).toHaveProperty('code', 'ERR_CIRCUIT_OPEN')
    expect(server.requests).toHaveLength(0)
  })

  const { asItComes } = sdk
  if (asItComes === undefined) return
  test('with its own retries on, those of both layers multiply', async () => {
    const server = await apiOf(sdk.api, () => unavailable)
    const fetch = holdfast({ retry: { maxRetries: 1 } })
    await expect(sdk.read(asItComes(fetch, server.url))).rejects.toThrow()
    expect(server.requests).toHaveLength(2 * (sdk.ownAttempts ?? Number.NaN))
  })
})
