import { randomUUID } from 'node:crypto'
import autocannon, { type Options, type Result } from 'autocannon'

/** `new`: another key for each request; `known`: keys whose response is recorded. */
export type Keys = 'new' | 'known'

export interface Load {
  readonly port: number
  readonly keys: Keys
  readonly requests: number
  readonly connections: number
}

const known = Array.from({ length: 100 }, () => randomUUID())

/** Sends requests over so many connections at once. @returns how many milliseconds all of them took */
export async function send(load: Load): Promise<number> {
  const startMs = performance.now()
  let lastMs = startMs
  const { '2xx': succeeded, ...rest } = await new Promise<Result>((resolve, reject) => {
    // It looks only now and then whether it has finished.
    autocannon(optionsOf(load), (error: unknown, result) =>
      error === null || error === undefined ? resolve(result) : reject(error),
    ).on('response', () => (lastMs = performance.now()))
  })
  // A server that refuses is quick, and its figures would be worth nothing.
  if (succeeded === load.requests) return lastMs - startMs
  const { errors, timeouts, non2xx } = rest
  throw new Error(
    `${succeeded} of ${load.requests} requests succeeded (${non2xx} refused, ${errors} failed, ${timeouts} late)`,
  )
}

function optionsOf({ port, keys, requests, connections }: Load): Options {
  let sent = 0
  const nextKey = (): string => (keys === 'new' ? randomUUID() : (known[sent++ % known.length] ?? ''))
  return {
    url: `http://127.0.0.1:${port}`,
    connections,
    amount: requests,
    sampleInt: 50,
    requests: [
      {
        method: 'POST',
        path: '/orders',
        setupRequest: (request) => ({
          ...request,
          headers: {
            'content-type': 'application/json',
            authorization: 'Bearer benchmark',
            'idempotency-key': nextKey(),
          },
          body: '{"sku":"anchor","quantity":3,"note":"leave it with the harbour master"}',
        }),
      },
    ],
  }
}

/** Makes sure that the known keys have a response. */
export async function record(port: number): Promise<void> {
  await send({ port, keys: 'known', requests: known.length, connections: 1 })
}
