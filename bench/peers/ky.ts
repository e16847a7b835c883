import client, { type Options } from 'ky'
import { clientsOf, type Peer, type Transport } from '../harness/subject.ts'
import { MAX_DELAY_MS, RETRIES, TIMEOUT_MS } from './settings.ts'

const subject = clientsOf('ky')

function make(
  transport: Transport,
  timeout: number | false,
): (url: string, init?: RequestInit) => Promise<Response> {
  const retry = { limit: RETRIES, methods: ['get', 'post'], backoffLimit: MAX_DELAY_MS, jitter: true }
  const options: Options = { fetch: transport, timeout, retry, throwHttpErrors: false }
  const made = client.create(options)
  return (url, init) => made(url, init)
}

export const ky: Peer = {
  clients: [
    subject('retry', ['retry'], (transport) => make(transport, false)),
    subject('retry + timeout', ['retry', 'timeout'], (transport) => make(transport, TIMEOUT_MS)),
  ],
}
