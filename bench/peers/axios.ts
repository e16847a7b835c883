import { create, type AxiosInstance, type AxiosRequestConfig } from 'axios'
import axiosRetry from 'axios-retry'
import { clientsOf, type Peer, type Transport } from '../harness/subject.ts'
import { BASE_DELAY_MS, RETRIES, TIMEOUT_MS } from './settings.ts'

/** By itself it doubles a tenth of a second, and retries no POST that was answered. */
export function axiosWithRetries(config: AxiosRequestConfig): AxiosInstance {
  const instance = create(config)
  axiosRetry(instance, {
    retries: RETRIES,
    retryDelay: (retry, error) => axiosRetry.exponentialDelay(retry, error, BASE_DELAY_MS / 2),
    retryCondition: (error) => axiosRetry.isRetryableError(error),
  })
  return instance
}

/** Over its fetch adapter; `stream` leaves the body as it is, as the others do. */
function make(
  transport: Transport,
  limits: AxiosRequestConfig,
): (url: string, init?: RequestInit) => Promise<unknown> {
  const instance = axiosWithRetries({
    ...limits,
    adapter: 'fetch',
    env: { fetch: transport },
    responseType: 'stream',
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
