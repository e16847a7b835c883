import type { Fault } from '../../src/testing/fault-server/faults.ts'
import type { Api, Arrived, Place, World } from './cases/case.ts'

/** Where a runtime finds its backend, and the other one that is foreign to a page of the first. */
export interface Origins {
  readonly home: string
  readonly foreign: string
}

/** The runtime's side of the backend: an API is made and looked at over HTTP, by whatever fetch there is. */
export function worldAt({ home, foreign }: Origins, place: Place): World {
  return {
    place,
    api: (...faults) => apiAt(home, { faults }),
    foreignApi: (allowHeaders, ...faults) => apiAt(foreign, { faults, allowHeaders }),
  }
}

export interface ApiOrder {
  readonly faults: readonly Fault[]
  readonly allowHeaders?: string
}

async function apiAt(origin: string, order: ApiOrder): Promise<Api> {
  const response = await fetch(`${origin}/control`, { method: 'POST', body: JSON.stringify(order) })
  const { id } = (await response.json()) as { id: string }
  return {
    url: `${origin}/${id}`,
    requests: async () => (await fetch(`${origin}/control/${id}`)).json() as Promise<Arrived[]>,
  }
}
