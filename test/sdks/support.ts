import { createFetch, type FetchOptions, type HoldfastFetch } from 'holdfast'
import { faultServer, noBackoff, status, type Fault, type FaultServer } from 'holdfast/testing'
import { onTestFinished } from 'vitest'
import type { Sdk } from './sdk.ts'

/** SDKs with a wait of their own take these headers as an advice to be quick. */
export const unavailable: Fault = status(503, {
  body: 'down',
  headers: { 'Retry-After': '0', 'Retry-After-Ms': '1' },
})

/** A stand-in for an API, for one test. */
export async function apiOf(api: Sdk['api'], faults: Fault[] | (() => Fault)): Promise<FaultServer> {
  const server = await faultServer({ handler: api, faults, recordBodies: true })
  onTestFinished(() => server.close())
  return server
}

export const holdfast = (options: FetchOptions = {}): HoldfastFetch =>
  createFetch({ ...noBackoff, ...options })

export const keysOf = ({ requests }: FaultServer): (string | undefined)[] =>
  requests.map(({ headers }) => headers['idempotency-key'])
