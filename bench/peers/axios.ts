import { create, type AxiosRequestConfig } from 'axios'
import axiosRetry from 'axios-retry'
import { clientsOf, type Peer, type Transport } from '../harness/subject.ts'
import { RETRIES, TIMEOUT_MS } from './settings.ts'

/** Over its fetch adapter; `stream` leaves the body as it is, as the others do. */
function make(
  transport: Transport,
  limits: AxiosRequestConfig,
): (url: string, init?: RequestInit) => Promise<unknown> {
  const instance = create({
    ...limits,
    adapter: 'fetch',
    env: { fetch: transport },
    responseType: 'stream',
  })
  axiosRetry(instance, {
    retries: RETRIES,
    retryDelay: (count, error) => axiosRetry.exponentialDelay(count, error),
  })
  return (url, init) =>
    instance({
      url,
      method: init?.method ?? 'GET',
      data: init?.body,
      headers: (init?.headers ?? {}) as Record<string, string>,
    })
}

const subject = clientsOf('axios + axios-retry')

export const axios: Peer = {
  clients: [
    subject('retry', ['retry'], (transport) => make(transport, {})),
    subject('retry + timeout', ['retry', 'timeout'], (transport) => make(transport, { timeout: TIMEOUT_MS })),
  ],
}
