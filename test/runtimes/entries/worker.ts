/** The suite as a worker: a request for each case, and clients that live as long as the worker and serve many requests. */
import { httpCache, type CacheEntry, type CacheStore } from '../../../src/cache/index.ts'
import { createFetch, outcomeOf, type FetchOptions, type HoldfastFetch } from '../../../src/index.ts'
import { pause, runCase } from '../cases/case.ts'
import { cases } from '../cases/index.ts'
import { worldAt } from '../world.ts'

/** What a request to a shared client tells. */
export interface SharedAnswer {
  readonly status?: number
  readonly text?: string
  readonly attempts?: number
  readonly error?: string
}

const clients = new Map<string, HoldfastFetch>()

/** One client for all requests that name it, made by the first. */
function sharedClient(name: string, options: string, storeMs: string): HoldfastFetch {
  const cache = storeMs !== '' && httpCache({ store: slowStore(Number(storeMs)) })
  const client = clients.get(name) ?? createFetch({ ...(JSON.parse(options) as FetchOptions), cache })
  clients.set(name, client)
  return client
}

/** As one over the network: what it was to set is lost where the request ends first. */
function slowStore(setMs: number): CacheStore {
  const entries = new Map<string, CacheEntry>()
  return {
    get: (key) => entries.get(key),
    set: async (key, entry) => {
      await pause(setMs)
      entries.set(key, entry)
    },
    delete: (key) => void entries.delete(key),
    clear: () => entries.clear(),
  }
}

async function ask(client: HoldfastFetch, api: string): Promise<SharedAnswer> {
  try {
    const response = await client(api)
    const { attempts } = outcomeOf(response) ?? {}
    return { status: response.status, text: await response.text(), ...(attempts && { attempts }) }
  } catch (error) {
    return { error: String(error) }
  }
}

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    const parameter = (name: string): string => searchParams.get(name) ?? ''
    if (pathname === '/shared') {
      const client = sharedClient(parameter('client'), parameter('options'), parameter('storeMs'))
      const answer = ask(client, parameter('api'))
      if (!searchParams.has('leaves')) return Response.json(await answer)
      // A request ends with its response: whatever it still does is dropped then.
      await pause(150)
      return Response.json({})
    }
    const origins = { home: parameter('home'), foreign: parameter('foreign') }
    const found = cases.find(({ name }) => name === parameter('case'))
    if (found === undefined) return new Response('no such case', { status: 404 })
    return Response.json(await runCase(found, worldAt(origins, 'worker')))
  },
}
