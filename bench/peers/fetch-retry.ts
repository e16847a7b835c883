import withRetries from 'fetch-retry'
import { clientsOf, type Peer } from '../harness/subject.ts'
import { delayBefore, RETRIES } from './settings.ts'

export const fetchRetry: Peer = {
  clients: [
    clientsOf('fetch-retry')('retry', ['retry'], (transport) =>
      withRetries(transport, {
        retries: RETRIES,
        retryDelay: (attempt) => delayBefore(attempt + 1),
        retryOn: [500, 502, 503, 504],
      }),
    ),
  ],
}
