import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerSubject } from '../servers/subject.ts'
import { answerTo, started } from '../servers/subject.ts'

interface Kept {
  readonly digest: string
  readonly response: string
}

interface Answer {
  readonly body: string
}

/**
 * Where the limit lies: keys in a `Map`, for a handler that is given the body and returns its answer. Nothing is put
 * between a request and those who read it, nothing expires, and nobody waits; what is left is to read the body, to tell
 * whether it is the same request, and to keep the answer.
 */
export const serverByHand: ServerSubject = {
  library: 'none',
  name: 'by hand, in a Map',
  has: [],
  async start() {
    const kept = new Map<string, Kept>()
    return started((request, response) => void serve(kept, request, response))
  },
}

async function serve(
  kept: Map<string, Kept>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = String(Buffer.concat(chunks))
  const scope = hash('sha256', request.headers.authorization ?? '')
  const key = String(request.headers['idempotency-key'])
  const asked = JSON.stringify([scope, key, request.method, request.url, body])
  const digest = hash('sha256', asked)
  const place = `${scope}:${key}`
  const found = kept.get(place)
  if (found !== undefined && found.digest !== digest) return void response.writeHead(422).end()
  const answer = found === undefined ? answerTo(body) : (JSON.parse(found.response) as Answer).body
  if (found === undefined)
    kept.set(place, { digest, response: JSON.stringify({ status: 201, body: answer }) })
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer)
}
