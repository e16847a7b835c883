import { serve } from '@hono/node-server'

type Handler = (request: Request) => Response | Promise<Response>

const PLACE = { hostname: '127.0.0.1', port: 0 }

/** What is used of Bun's and Deno's own servers. */
interface Runtime {
  readonly Bun?: { serve(options: typeof PLACE & { fetch: Handler }): { readonly port: number } }
  readonly Deno?: {
    serve(
      options: typeof PLACE & { onListen(): void },
      handler: Handler,
    ): { readonly addr: { readonly port: number } }
  }
}

/** Serves a web-standard handler as each runtime does by itself, and tells the URL. */
export async function serveFetch(handler: Handler): Promise<string> {
  return `http://127.0.0.1:${await portOf(handler)}`
}

function portOf(handler: Handler): number | Promise<number> {
  const { Bun, Deno } = globalThis as Runtime
  if (Bun !== undefined) return Bun.serve({ ...PLACE, fetch: handler }).port
  if (Deno !== undefined) return Deno.serve({ ...PLACE, onListen() {} }, handler).addr.port
  return new Promise((resolve) => serve({ ...PLACE, fetch: handler }, ({ port }) => resolve(port)))
}
