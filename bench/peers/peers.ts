import type { Peer } from '../harness/subject.ts'
import { axios } from './axios.ts'
import { cockatiel } from './cockatiel.ts'
import { effect } from './effect.ts'
import { fetchRetry } from './fetch-retry.ts'
import { ffetch } from './ffetch.ts'
import { ky } from './ky.ts'
import { mollitia } from './mollitia.ts'
import { ofetch } from './ofetch.ts'
import { opossum } from './opossum.ts'
import { pRetry } from './p-retry.ts'

export const peers: readonly Peer[] = [
  cockatiel,
  opossum,
  pRetry,
  mollitia,
  effect,
  ky,
  ofetch,
  ffetch,
  fetchRetry,
  axios,
]
