import { onTestFinished, vi } from 'vitest'
import { interceptor, type InterceptorOptions } from '../../../src/adapters/undici/index.ts'
import type { HoldfastEvent } from '../../../src/index.ts'
import {
  faultServer,
  noBackoff,
  type FaultServer,
  type FaultServerOptions,
} from '../../../src/testing/index.ts'
import type { UndiciModule } from './versions.ts'

export interface Bench {
  readonly api: FaultServer
  readonly dispatcher: InstanceType<UndiciModule['Agent']>
  readonly events: readonly HoldfastEvent[]
}

/** A server that fails as told, and a dispatcher with Holdfast in it. */
export async function bench(
  undici: UndiciModule,
  server: FaultServerOptions,
  options: InterceptorOptions = {},
): Promise<Bench> {
  const api = await faultServer(server)
  const events: HoldfastEvent[] = []
  const onEvent = (event: HoldfastEvent): void => void events.push(event)
  const agent = new undici.Agent()
  onTestFinished(async () => {
    await agent.destroy()
    await api.close()
  })
  const dispatcher = agent.compose(interceptor({ ...noBackoff, onEvent, ...options }))
  return { api, dispatcher: dispatcher as Bench['dispatcher'], events }
}

export const typesOf = (events: readonly HoldfastEvent[]): string[] => events.map(({ type }) => type)

/** Lists what is constructed of the platform's classes from now on. */
export function listMade(...names: ('ReadableStream' | 'AbortController' | 'Headers')[]): string[] {
  const made: string[] = []
  onTestFinished(() => void vi.unstubAllGlobals())
  for (const name of names) {
    const construct = (target: new () => object, args: [], newTarget: new () => object): object => {
      made.push(name)
      return Reflect.construct(target, args, newTarget)
    }
    vi.stubGlobal(name, new Proxy(globalThis[name], { construct }))
  }
  return made
}
