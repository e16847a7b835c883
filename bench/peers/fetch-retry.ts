import withRetries from 'fetch-retry'
import { clientsOf, type Peer } from '../harness/subject.ts'
import { BASE_DELAY_MS, RETRIES } from './settings.ts'

export const fetchRetry: Peer = {
  clients: [
    clientsOf('fetch-retry')('retry', ['retry'], (transport) =>
      withRetries(transport, {
        retries: RETRIES,
        retryDelay: (attempt) => BASE_DELAY_MS * 2 ** attempt,
        retryOn: [500, 502, 503, 504],
      }),
    ),
  ],
}
