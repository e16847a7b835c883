import type { Api, Ask } from './api.ts'
import type { Reply } from './exchange.ts'
import { expect } from './expect.ts'
import type { FixtureRequest } from './fixture.ts'

export interface RunningAsk extends Ask {
  readonly key: string
  readonly body: FixtureRequest & Readonly<Record<string, unknown>>
}

interface Overlap<T> {
  readonly ask: RunningAsk
  readonly first: Reply
  readonly meanwhile: T
}

/** How much longer the handler is asked to run where a slow machine was too late with the second request. */
const PATIENCE = 4

/**
 * Starts a request, waits until its handler runs, and does something meanwhile. Where that ends after the request it
 * was meant to overlap, it is done once more with more time: an API that lets duplicates wait is told from a slow one.
 */
export async function duringRun<T>(
  api: Api,
  meanwhile: (ask: RunningAsk) => Promise<T>,
): Promise<Overlap<T>> {
  const { delayMs } = api.settings
  const once = await attempt(api, delayMs, meanwhile)
  return once.overlapped ? once : attempt(api, delayMs * PATIENCE, meanwhile)
}

async function attempt<T>(
  api: Api,
  delayMs: number,
  meanwhile: (ask: RunningAsk) => Promise<T>,
): Promise<Overlap<T> & { readonly overlapped: boolean }> {
  const ask = { key: api.newKey(), body: { delayMs, amount: 1 } }
  const started = await startRun(api, ask)
  const result = await meanwhile(ask)
  const overlapped = !started.hasEnded()
  return { ask, first: await started.reply, meanwhile: result, overlapped }
}

/** Resolves once the handler runs. */
export async function startRun(
  api: Api,
  ask: Ask,
): Promise<{ readonly reply: Promise<Reply>; hasEnded(): boolean }> {
  const before = await api.count()
  let ended = false
  const reply = api.send(ask).finally(() => (ended = true))
  const runs = await api.until(async () => ended || (await api.count()) > before, api.settings.timeoutMs)
  const ran = runs && (await api.count()) > before
  if (!ran) expect(false, { sent: ask, expected: 'a run', got: ended ? await reply : 'nothing' })
  return { reply, hasEnded: () => ended }
}
