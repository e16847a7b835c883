import { faultServer, type Fault, type FaultServer, type ReceivedRequest } from '../../src/testing/index.ts'
import { resource } from '../client/support/resource.ts'
import type { Arrived } from './cases/case.ts'
import type { ApiOrder } from './world.ts'

export interface BackendOptions {
  /** What it serves besides: by path. */
  readonly pages?: Readonly<Record<string, (request: Request) => Response | Promise<Response>>>
}

/** A real server that every runtime talks to, scripted over HTTP: a page and a worker can't start one. */
export async function startBackend({ pages = {} }: BackendOptions = {}): Promise<FaultServer> {
  const apis = new Map<string, ApiOrder & { readonly left: Fault[] }>()
  const server: FaultServer = await faultServer({
    recordBodies: true,
    // A preflight meets no fault: those are for what it is asked for.
    faults: ({ method, path }) => (method === 'OPTIONS' ? undefined : nextFault(apis.get(idOf(path))?.left)),
    async handler(request) {
      const { pathname } = new URL(request.url)
      const page = pages[pathname]
      if (page !== undefined) return page(request)
      if (pathname === '/control') {
        const order = JSON.parse(await request.text()) as ApiOrder
        const id = `api-${apis.size + 1}`
        apis.set(id, { ...order, left: [...order.faults] })
        return answer({ id })
      }
      if (pathname.startsWith('/control/')) return answer(arrivedAt(server.requests, pathname.slice(9)))
      if (pathname.endsWith('/file')) return resource('{"ok":true}', '"v1"', EVERYWHERE)(request)
      const { allowHeaders } = apis.get(idOf(pathname)) ?? {}
      if (request.method !== 'OPTIONS') return answer({ ok: true })
      return new Response(null, { status: 204, headers: preflight(allowHeaders) })
    },
  })
  return server
}

const idOf = (path: string): string => /^\/([^/?]+)/.exec(path)?.[1] ?? ''

/** A connection that is used again may break for its age, and some runtimes then send again unasked. */
const EVERYWHERE = { connection: 'close', 'access-control-allow-origin': '*' }

function nextFault(left: Fault[] | undefined): Fault | undefined {
  const fault = left?.shift()
  if (fault === undefined || !('headers' in fault)) return fault
  return { ...fault, headers: { ...EVERYWHERE, ...fault.headers } }
}

const answer = (value: unknown): Response => Response.json(value, { headers: EVERYWHERE })

function preflight(allowHeaders: string | undefined): Record<string, string> {
  if (allowHeaders === undefined) return { connection: 'close' }
  return {
    ...EVERYWHERE,
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': allowHeaders,
  }
}

function arrivedAt(requests: readonly ReceivedRequest[], id: string): Arrived[] {
  return requests
    .filter(({ path }) => idOf(path) === id)
    .map(({ method, path, headers, body }) => ({
      method,
      path,
      headers,
      body: new TextDecoder().decode(body),
    }))
}
