import { systemClock } from '../../primitives/clock.ts'
import type { Api, Ask } from './api.ts'
import { isSuccess, type Reply } from './exchange.ts'
import { expect } from './expect.ts'
import { Inconclusive } from './failure.ts'
import type { FixtureRequest } from './fixture.ts'

export interface RunningAsk extends Ask {
  readonly key: string
  readonly body: FixtureRequest & Readonly<Record<string, unknown>> & { readonly delayMs: number }
}

interface Overlap<T> {
  readonly ask: RunningAsk
  readonly first: Reply
  readonly meanwhile: T
}

/** A request whose handler has begun. */
interface Run {
  readonly number: number
  readonly reply: Promise<Reply>
  /** Whether the handler surely runs: it is not answered, and its time can not be over. */
  readonly isRunning: () => boolean
}

export interface Attempt<T> {
  readonly value: T
  /** Whether it surely happened while a handler ran. */
  readonly overlapped: boolean
}

/** How much longer the handler is asked to run each time nothing overlapped. */
const PATIENCE = 4

/**
 * Tries with ever longer handlers until something surely happened while one ran, as long as the row has time.
 *
 * @throws Inconclusive where that was never so: what a duplicate got would tell nothing of duplicates in flight.
 */
export async function untilOverlapped<T>(
  { settings: { delayMs, timeoutMs } }: Api,
  attempt: (runMs: number) => Promise<Attempt<T>>,
): Promise<T> {
  const endMs = systemClock.now() + timeoutMs
  for (let runMs = delayMs; ; runMs *= PATIENCE) {
    const startMs = systemClock.now()
    const { value, overlapped } = await attempt(runMs)
    if (overlapped) return value
    const nowMs = systemClock.now()
    const nextMs = nowMs - startMs + runMs * (PATIENCE - 1)
    if (nowMs + nextMs <= endMs) continue
    throw new Inconclusive(
      `too slow to tell: no other request was answered while a handler ran for ${runMs} ms; ` +
        'try a larger delayMs and timeoutMs',
    )
  }
}

/** Starts a request, waits until its handler runs, and does something that surely happens meanwhile. */
export function duringRun<T>(api: Api, meanwhile: (ask: RunningAsk) => Promise<T>): Promise<Overlap<T>> {
  return untilOverlapped(api, async (delayMs) => {
    const ask = { key: api.newKey(), body: { delayMs, amount: 1 } }
    const run = await startRun(api, ask)
    const [done, witness] = await Promise.all([
      meanwhile(ask).then((value) => ({ value, inTime: run.isRunning() })),
      sendWitness(api, run.isRunning),
    ])
    const value = { ask, first: await run.reply, meanwhile: done.value }
    return { value, overlapped: done.inTime || witness.inTime }
  })
}

/**
 * Sends another request with a key of its own. Where it has gone all the way while a handler runs, what was sent just
 * before it has arrived by then, too, though it may be made to wait.
 */
export async function sendWitness(
  api: Api,
  isRunning: () => boolean,
): Promise<{ readonly ran: boolean; readonly inTime: boolean }> {
  const ran = isSuccess(await api.send({ key: api.newKey(), body: {} }))
  return { ran, inTime: ran && isRunning() }
}

/** Resolves once the handler runs. */
export async function startRun(api: Api, ask: RunningAsk): Promise<Run> {
  const before = await api.count()
  // The handler has not begun before the last count that knew nothing of it was asked for.
  let beginsAfterMs = systemClock.now()
  let isOver = false
  let isAnswered = false
  const reply = api.send(ask).then((got) => {
    isOver = true
    isAnswered = got.status !== 0
    return got
  })
  const hasBegun = async (): Promise<boolean> => {
    const askedMs = systemClock.now()
    if ((await api.count()) > before) return true
    beginsAfterMs = askedMs
    return false
  }
  await api.until(async () => isOver || (await hasBegun()), api.settings.timeoutMs)
  if (!(await hasBegun()))
    expect(false, { sent: ask, expected: 'a run', got: isOver ? await reply : 'nothing' })
  const isRunning = (): boolean => !isAnswered && systemClock.now() < beginsAfterMs + ask.body.delayMs
  return { number: before + 1, reply, isRunning }
}
