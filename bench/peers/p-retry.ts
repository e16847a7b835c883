import retrying, { type Options } from 'p-retry'
import { clientsOf, subjectsOf, type Peer, type Ready } from '../harness/subject.ts'
import { BASE_DELAY_MS, MAX_DELAY_MS, RETRIES, throwing } from './settings.ts'

const OPTIONS: Options = {
  retries: RETRIES,
  minTimeout: BASE_DELAY_MS,
  maxTimeout: MAX_DELAY_MS,
  randomize: true,
}

export const pRetry: Peer = {
  policies: [subjectsOf<Ready>('p-retry')('retry', ['retry'], (ready) => () => retrying(ready, OPTIONS))],
  clients: [
    clientsOf('p-retry')(
      'retry',
      ['retry'],
      (transport) => (url, init) => retrying(() => throwing(transport(url, init)), OPTIONS),
    ),
  ],
}
