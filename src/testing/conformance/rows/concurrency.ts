import { systemClock } from '../../../primitives/clock.ts'
import type { Api, Ask } from '../api.ts'
import {
  duringRun,
  sendWitness,
  startRun,
  untilOverlapped,
  type Attempt,
  type RunningAsk,
} from '../during.ts'
import { describe, header, isSuccess, runOf, StartGate, type Reply } from '../exchange.ts'
import { expect, expectReplay, isSame } from '../expect.ts'
import { Skipped } from '../failure.ts'
import type { Row } from '../row.ts'

const AT_ONCE = 50

/** What a duplicate gets while the first request runs. */
async function duplicate(
  api: Api,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly ask: Ask; readonly first: Reply; readonly got: Reply }> {
  const { ask, first, meanwhile } = await duringRun(api, (ask) => api.send({ ...ask, headers }))
  return { ask: { ...ask, headers }, first, got: meanwhile }
}

async function allAtOnce(api: Api, delayMs: number): Promise<Attempt<void>> {
  const gate = new StartGate(AT_ONCE)
  const ask: Ask = { key: api.newKey(), body: { delayMs }, gate }
  const sent = `${AT_ONCE} at once, with the same key and body`
  let endsAfterMs = Infinity
  const opened = gate.opened.then(() => (endsAfterMs = systemClock.now() + delayMs))
  const isRunning = (): boolean => systemClock.now() < endsAfterMs
  const sendOne = async (): Promise<Answered> => {
    const reply = await api.send(ask)
    return { reply, inTime: isRunning() }
  }
  const { value, runs: allRuns } = await api.counting(async () => {
    const answers = Promise.all(Array.from({ length: AT_ONCE }, sendOne))
    await opened
    const witness = await sendWitness(api, isRunning)
    return { answers: await answers, witness }
  })
  const { answers, witness } = value
  const runs = allRuns - (witness.ran ? 1 : 0)
  expect(runs === 1, { sent, expected: 'one run', got: `${runs} runs` })
  const first = answers.find(({ reply }) => isSuccess(reply))?.reply
  expect(first !== undefined, { sent, expected: 'a 2xx', got: answers[0]?.reply ?? 'nothing' })
  const others = answers.filter(({ reply }) => reply !== first)
  const odd = others.find(({ reply }) => reply.status !== 409 && !(first && isSame(first, reply)))
  expect(odd === undefined, {
    sent,
    expected: 'a 409 or the one answer for the others',
    got: odd?.reply ?? '',
  })
  return { value: undefined, overlapped: witness.inTime || others.every(({ inTime }) => inTime) }
}

interface Answered {
  readonly reply: Reply
  readonly inTime: boolean
}

interface Left {
  readonly ask: RunningAsk
  /** Of the run that the client left. */
  readonly number: number
  /** How often the handler had run when the client was gone. */
  readonly before: number
}

/** A client that surely goes away while the handler of its request runs. */
async function leaveDuringRun(api: Api, delayMs: number): Promise<Attempt<Left>> {
  const ask = { key: api.newKey(), body: { delayMs } }
  const client = new AbortController()
  const { number, reply, isRunning } = await startRun(api, { ...ask, signal: client.signal })
  client.abort()
  await reply
  const { inTime } = await sendWitness(api, isRunning)
  return { value: { ask, number, before: await api.count() }, overlapped: inTime }
}

/** How long it takes until a request that was cut off is over and saved, at most. */
const settledWithinMs = (delayMs: number): number => delayMs * 4 + 2000

export const concurrency: readonly Row[] = [
  {
    id: 'D11',
    level: 'SHOULD',
    title: 'a duplicate in flight is refused with 409 and a problem document',
    async run(api) {
      const { ask, got } = await duplicate(api)
      const isProblem = header(got, 'content-type')?.startsWith('application/problem+json') === true
      const expected = 'a 409 with application/problem+json'
      expect(got.status === 409 && isProblem, {
        sent: `the same request twice at once, ${String(ask.key)}`,
        expected,
        got,
      })
    },
  },
  {
    id: 'D15',
    level: 'SHOULD',
    title: 'after a 409 the unchanged request gets the first answer',
    needs: ['D9'],
    async run(api) {
      const { ask, first, got } = await duplicate(api)
      if (got.status !== 409) throw new Skipped(`a duplicate in flight got ${describe(got)}`)
      await expectReplay(api, first, ask)
    },
  },
  {
    id: 'P1',
    level: 'MUST',
    title: 'of fifty identical requests at once one runs',
    run: (api) => untilOverlapped(api, (delayMs) => allAtOnce(api, delayMs)),
  },
  {
    id: 'P2',
    level: 'MUST',
    title: 'another body under a key in flight is refused with 422, not 409',
    needs: ['D13'],
    async run(api) {
      const other = (ask: Ask): Ask => ({ ...ask, body: { amount: 2 } })
      const { ask, meanwhile: got } = await duringRun(api, (ask) => api.send(other(ask)))
      expect(got.status === 422, { sent: other(ask), expected: 'a 422 while the first request runs', got })
    },
  },
  {
    id: 'P3',
    level: 'MUST',
    title: 'a client that goes away while the handler runs can ask for its answer later',
    needs: ['D9'],
    async run(api) {
      const { ask, number, before } = await untilOverlapped(api, (delayMs) => leaveDuringRun(api, delayMs))
      let got = await api.send(ask)
      await api.until(async () => {
        if (got.status === 409) got = await api.send(ask)
        return got.status !== 409
      }, settledWithinMs(ask.body.delayMs))
      const runs = (await api.count()) - before
      const isRight = isSuccess(got) && runOf(got) === number && runs === 0
      const sent = `${ask.key} again, after the first client had gone`
      expect(isRight, { sent, expected: `the answer of run ${number}, and no other run`, got, runs })
    },
  },
  {
    id: 'P16',
    level: 'SHOULD',
    title: 'a 409 for a duplicate in flight tells when to come again',
    async run(api) {
      const { ask, got } = await duplicate(api)
      if (got.status !== 409) throw new Skipped(`a duplicate in flight got ${describe(got)}`)
      expect(got.headers.has('retry-after'), {
        sent: ask,
        expected: 'a Retry-After',
        got: `${describe(got)} without it`,
      })
    },
  },
  {
    id: 'P16-wait',
    level: 'MAY',
    title: 'a duplicate in flight with Prefer: wait waits for the first answer',
    needs: ['D9'],
    async run(api) {
      const { ask, first, got } = await duplicate(api, { prefer: 'wait=10' })
      expect(isSame(first, got), { sent: ask, expected: `the first answer, ${describe(first)}`, got })
    },
  },
]
