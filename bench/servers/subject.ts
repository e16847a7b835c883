import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Ability } from '../harness/subject.ts'

/** A server to be measured: it runs in a process of its own. */
export interface ServerSubject {
  /** The npm package, or `none` for a bare handler. */
  readonly library: string
  readonly name: string
  readonly has: readonly Ability[]
  /** Whether it answers a known key by what it has kept. */
  readonly replays: boolean
  /** @param port the port of the store's server that round trips are counted to */
  readonly storePort?: number
  start(): Promise<Started>
}

export interface Started {
  readonly listener: RequestListener
  /** Forgets all keys. */
  readonly close: () => Promise<void>
}

const nothing = async (): Promise<void> => {}

export const started = (listener: RequestListener, close: () => Promise<void> = nothing): Started => ({
  listener,
  close,
})

/** What every server of the benchmark does, with or without a layer in front: it makes an order of a JSON body. */
export const handler: RequestListener = (request, response) => {
  void order(request, response)
}

async function order(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = answerTo(String(Buffer.concat(chunks)))
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': body.length })
  response.end(body)
}

let executions = 0

/** How often an order was made in this process: for a replay none is. */
export const executionsSoFar = (): number => executions

export interface Asked {
  readonly sku: string
}

export function orderOf({ sku }: Asked): object {
  executions++
  return { id: 7, sku, state: 'confirmed' }
}

export const answerTo = (json: string): string => JSON.stringify(orderOf(JSON.parse(json) as Asked))
