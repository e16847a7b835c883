import client, { type Options } from 'ky'
import { clientsOf, type Peer, type Transport } from '../harness/subject.ts'
import { delayBefore, RETRIES, TIMEOUT_MS } from './settings.ts'

const subject = clientsOf('ky')

function make(
  transport: Transport,
  timeout: number | false,
): (url: string, init?: RequestInit) => Promise<Response> {
  const retry: Options['retry'] = {
    limit: RETRIES,
    methods: ['get', 'post'],
    delay: delayBefore,
    jitter: true,
    retryOnTimeout: true,
  }
  // Not with `throwHttpErrors: false`: it retries what it throws, and no status then.
  const made = client.create({ fetch: transport, timeout, retry })
  return (url, init) => made(url, init)
}

export const ky: Peer = {
  clients: [
    subject('retry', ['retry'], (transport) => make(transport, false)),
    subject('retry + timeout', ['retry', 'timeout'], (transport) => make(transport, TIMEOUT_MS)),
  ],
}
