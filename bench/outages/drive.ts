import { setTimeout } from 'node:timers/promises'
import type { Run } from '../harness/subject.ts'

/** How a call went. */
export interface Call {
  /** Since the beginning, as all times here. */
  readonly startedMs: number
  readonly endedMs: number
  readonly succeeded: boolean
}

export interface Pace {
  readonly perSecond: number
  readonly forMs: number
  /** A call that has no end by then has failed. */
  readonly patienceMs: number
}

/** Makes calls at a steady pace, whatever becomes of them. */
export async function drive(run: Run, { perSecond, forMs, patienceMs }: Pace): Promise<Call[]> {
  const beganMs = performance.now()
  const sinceBegin = (): number => performance.now() - beganMs
  const calls: Promise<Call>[] = []
  for (let number = 0; number < (perSecond * forMs) / 1000; number++) {
    const dueMs = (number * 1000) / perSecond
    if (dueMs > sinceBegin()) await setTimeout(dueMs - sinceBegin())
    calls.push(made(run, sinceBegin))
  }
  const controller = new AbortController()
  const { signal } = controller
  const late = setTimeout(patienceMs, undefined, { signal }).catch(() => {})
  const ends = await Promise.all(calls.map((call) => Promise.race([call, late])))
  controller.abort()
  return ends.map((call, number) => call ?? unanswered((number * 1000) / perSecond))
}

async function made(run: Run, sinceBegin: () => number): Promise<Call> {
  const startedMs = sinceBegin()
  const succeeded = await run().then(isSuccess, () => false)
  return { startedMs, endedMs: sinceBegin(), succeeded }
}

const unanswered = (startedMs: number): Call => ({ startedMs, endedMs: Infinity, succeeded: false })

/** Some clients give the body, some an object of their own with the status. */
async function isSuccess(answer: unknown): Promise<boolean> {
  await drained(answer)
  const status: unknown = Object(answer).status
  return typeof status !== 'number' || status < 400
}

/** An unread body holds its connection. Some clients give responses whose body can't be read: no matter here. */
export async function drained(answer: unknown): Promise<void> {
  if (answer instanceof Response) await answer.text().catch(() => {})
}
