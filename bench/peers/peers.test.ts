import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Exchange, Prepared, Ready, Subject, Transport } from '../harness/subject.ts'
import { defaultClient, extras, unboundedClient } from '../ours/clients.ts'
import { alone, openBreaker, openPipeline, smallerPipelines, wholePipeline } from '../ours/policies.ts'
import { peers } from './peers.ts'
import { FOREVER_MS, RETRIES } from './settings.ts'

const url = 'https://api.example.com/orders'
const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"sku":"anchor"}' }

const clients = [
  ...peers.flatMap(({ clients: some = [], inOutages = [] }) => some.concat(inOutages)),
  defaultClient,
  unboundedClient,
  ...extras,
]
const policies = [
  ...peers.flatMap(({ policies: some = [] }) => some),
  ...alone,
  ...smallerPipelines,
  wholePipeline,
]

type Case<Target> = readonly [name: string, subject: Subject<Target>]

function having<Target>(
  ability: Subject<Target>['has'][number],
  subjects: readonly Subject<Target>[],
): Case<Target>[] {
  return subjects
    .filter(({ has }) => has.includes(ability))
    .map((subject) => [`${subject.library} ${subject.name}`, subject])
}

/** Its retry of a request with a body takes the `Request` that the first attempt has used: nothing is sent. */
const SENDS_NO_BODY_AGAIN = '@fetchkit/ffetch'

beforeEach(() => {
  // `AbortSignal.timeout` is not among what can be faked.
  vi.useFakeTimers()
  vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(new DOMException('too late', 'TimeoutError')), ms)
    return controller.signal
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Until it has ended, whatever it waits for. @returns whether it has */
async function ended({ run }: Prepared): Promise<boolean> {
  let isEnded = false
  void run()
    .catch(() => {})
    .then(() => (isEnded = true))
  // Some of ours is loaded when it is used.
  await vi.dynamicImportSettled()
  await vi.advanceTimersByTimeAsync(300_000)
  return isEnded
}

function failing(): { readonly transport: Transport; readonly ready: Ready; readonly sent: () => number } {
  let sent = 0
  return {
    sent: () => sent,
    async transport() {
      sent++
      return new Response('later', { status: 503 })
    },
    async ready() {
      sent++
      throw new Error('down')
    },
  }
}

const hanging: Transport = (input, init) => {
  const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined)
  return new Promise((_, reject) => {
    const abort = (): void => reject(signal?.reason as Error)
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort)
  })
}

describe.each([
  ['GET', undefined],
  ['POST', post],
])('a client that retries, asked for a %s', (method, init) => {
  test.each(having('retry', clients))('sends it again: %s', async (_, subject) => {
    const { transport, sent } = failing()
    expect(await ended(await subject.setup({ transport, url, init }))).toBe(true)
    const sends = method === 'GET' || subject.library !== SENDS_NO_BODY_AGAIN
    expect(sent()).toBe(sends ? 1 + RETRIES : 1)
  })
})

test.each(having('timeout', clients))('a client with a timeout ends: %s', async (_, subject) => {
  expect(await ended(await subject.setup({ transport: hanging, url, init: undefined }))).toBe(true)
})

const CALLS = 60

/** What a service that is down is asked in six seconds and after them, of what it would be asked without a breaker. */
async function shareSent<Target extends Exchange | Ready>(
  subject: Subject<Target>,
  target: Target,
  sent: () => number,
): Promise<number> {
  const prepared = await subject.setup(target)
  for (let call = 0; call < CALLS; call++) {
    void prepared.run().catch(() => {})
    await vi.dynamicImportSettled()
    await vi.advanceTimersByTimeAsync(100)
  }
  await vi.advanceTimersByTimeAsync(60_000)
  return sent() / CALLS / (subject.has.includes('retry') ? 1 + RETRIES : 1)
}

describe('a breaker', () => {
  test.each(having('breaker', clients))('opens: %s', async (_, subject) => {
    const { transport, sent } = failing()
    expect(await shareSent(subject, { transport, url, init: undefined }, sent)).toBeLessThan(0.5)
  })

  test.each(having('breaker', policies))('opens: %s', async (_, subject) => {
    const { ready, sent } = failing()
    expect(await shareSent(subject, ready, sent)).toBeLessThan(0.5)
  })
})

test.each(having('retry', policies))('a policy that retries calls again: %s', async (_, subject) => {
  const { ready, sent } = failing()
  await ended(await subject.setup(ready))
  expect(sent()).toBe(1 + RETRIES)
})

/** It tells the function to stop, and waits until it does. */
const waits = ({ library, name }: Subject<Ready>): boolean =>
  library === 'cockatiel' && !name.includes('aggressive')

test.each(having('timeout', policies).filter(([, subject]) => !waits(subject)))(
  'a policy with a timeout ends: %s',
  async (_, subject) => {
    expect(await ended(await subject.setup(() => new Promise(() => {})))).toBe(true)
  },
)

test.each(having('fallback', policies))('a fallback is what it stands for: %s', async (_, subject) => {
  const { run } = await subject.setup(failing().ready)
  await expect(run().then(() => 'no error', String)).resolves.toBe(
    subject.library === 'holdfast' ? 'Error: down' : 'no error',
  )
})

const refusals = [...peers.flatMap(({ refusals: some = [] }) => some), openBreaker, openPipeline]

test.each(having('refuses', refusals))(
  'an open circuit stays open, and calls nothing: %s',
  async (_, subject) => {
    const ready = vi.fn<Ready>(async () => 'ready')
    const { run } = await subject.setup(ready)
    await vi.advanceTimersByTimeAsync(FOREVER_MS / 2)
    expect(String(await run())).toMatch(/open/i)
    expect(ready).not.toHaveBeenCalled()
  },
)
