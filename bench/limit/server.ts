import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { REDIS_PORT, redisForKeys } from '../servers/redis.ts'
import { answerTo, started, type ServerSubject } from '../servers/subject.ts'

interface Kept {
  readonly digest: string
  /** Empty until there is one. */
  readonly response: string
}

interface Shelf {
  /** What is kept of a key; where that is nothing, it is claimed. */
  claim(place: string, digest: string): Kept | undefined | Promise<Kept | undefined>
  keep(place: string, kept: Kept): unknown
}

interface Answer {
  readonly body: string
}

/**
 * Where the limit lies: for a handler that is given the body and returns its answer. Nothing is put between a request
 * and those who read it, and nobody waits; what is left is to read the body, to tell whether it is the same request,
 * and to keep the answer. In a `Map` nothing expires.
 */
const byHandInMap: ServerSubject = {
  library: 'none',
  name: 'by hand, in a Map',
  has: [],
  replays: true,
  async start() {
    const kept = new Map<string, Kept>()
    const shelf: Shelf = { claim: (place) => kept.get(place), keep: (place, one) => kept.set(place, one) }
    return started((request, response) => void serve(shelf, request, response))
  },
}

const DAY_MS = 86_400_000
const DIGEST_LENGTH = 64

/** The same by the two least commands, without a script: one for a replay, two for a new key. */
const byHandInRedis: ServerSubject = {
  library: 'none',
  name: 'by hand, in Redis',
  has: [],
  replays: true,
  storePort: REDIS_PORT,
  async start() {
    const { client, prefix, close } = await redisForKeys()
    const shelf: Shelf = {
      async claim(place, digest) {
        const found = await client.set(prefix + place, digest, 'PX', DAY_MS, 'NX', 'GET')
        return found === null
          ? undefined
          : { digest: found.slice(0, DIGEST_LENGTH), response: found.slice(DIGEST_LENGTH) }
      },
      keep: (place, { digest, response }) => client.set(prefix + place, digest + response, 'PX', DAY_MS),
    }
    return started((request, response) => void serve(shelf, request, response), close)
  },
}

export const serversByHand: readonly ServerSubject[] = [byHandInMap, byHandInRedis]

async function serve(shelf: Shelf, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = String(Buffer.concat(chunks))
  const scope = hash('sha256', request.headers.authorization ?? '')
  const key = String(request.headers['idempotency-key'])
  const asked = JSON.stringify([scope, key, request.method, request.url, body])
  const digest = hash('sha256', asked)
  const place = `${scope}:${key}`
  const found = await shelf.claim(place, digest)
  if (found !== undefined && found.digest !== digest) return void response.writeHead(422).end()
  if (found?.response === '') return void response.writeHead(409).end()
  const answer = found === undefined ? answerTo(body) : (JSON.parse(found.response) as Answer).body
  if (found === undefined)
    await shelf.keep(place, { digest, response: JSON.stringify({ status: 201, body: answer }) })
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer)
}
