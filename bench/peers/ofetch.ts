import { createFetch, type FetchContext } from 'ofetch'
import { clientsOf, type Peer, type Transport } from '../harness/subject.ts'
import { delayBefore, RETRIES, TIMEOUT_MS } from './settings.ts'

const subject = clientsOf('ofetch')

/** It says how many retries are left. */
const retryDelay = ({ options }: FetchContext): number => delayBefore(1 + RETRIES - Number(options.retry))

/** Its response comes with the body parsed; `stream` leaves the body as it is, as the others do. */
function make(
  transport: Transport,
  limits: { timeout?: number },
): (url: string, init?: RequestInit) => Promise<unknown> {
  const made = createFetch({ fetch: transport })
  const options = { ...limits, retry: RETRIES, retryDelay, responseType: 'stream' } as const
  return (url, init) => made.raw(url, { ...(init as { method?: string }), ...options })
}

export const ofetch: Peer = {
  clients: [
    subject('retry', ['retry'], (transport) => make(transport, {})),
    subject('retry + timeout', ['retry', 'timeout'], (transport) => make(transport, { timeout: TIMEOUT_MS })),
  ],
}
