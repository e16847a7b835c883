/** What waits for a handler that has paused, and in which order it gets it: over a dispatcher that does as it is told. */
import { expect, test } from 'vitest'
import { interceptor } from '../../../src/adapters/undici/index.ts'
import type { AnyHandler, Controller, Dispatch, Handler } from '../../../src/adapters/undici/dispatch.ts'
import { until } from '../../client/support/wait.ts'

const REQUEST = { origin: 'http://a.test', path: '/', method: 'GET' }

class Steering implements Controller {
  aborted = false
  paused = false
  reason: unknown

  abort(reason: unknown): void {
    this.aborted = true
    this.reason = reason
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }
}

interface Sent {
  /** How undici tells of the request. */
  readonly below: Required<Pick<Handler, 'onResponseData' | 'onResponseEnd' | 'onResponseError'>>
  readonly underneath: Steering
  /** What the caller steers it by. */
  readonly controller: Controller
  readonly told: unknown[]
}

/** A request whose handler pauses with each thing that it is told, up to its response's head. */
async function paused(): Promise<Sent> {
  const sent: AnyHandler[] = []
  const dispatch: Dispatch = (_options, handler) => sent.push(handler) > 0
  const told: unknown[] = []
  let controller: Controller | undefined
  const pauseAt = (event: unknown): void => {
    told.push(event)
    controller?.pause()
  }
  const handler: Handler = {
    onRequestStart: (given) => void (controller = given),
    onResponseStart: (_controller, status) => pauseAt(status),
    onResponseData: (_controller, chunk) => pauseAt(String(chunk)),
    onResponseEnd: () => pauseAt('end'),
    onResponseError: (_controller, error) => pauseAt(error),
  }
  interceptor({ retry: false })(dispatch)(REQUEST, handler)
  await until(() => sent.length === 1)
  const below = sent[0] as Sent['below'] & Handler
  const underneath = new Steering()
  below.onRequestStart?.(underneath, undefined)
  below.onResponseStart?.(underneath, 200, {})
  below.onResponseData(underneath, bytes('one'))
  await until(() => told.length > 0)
  below.onResponseData(underneath, bytes('two'))
  expect([told, underneath.paused]).toEqual([[200], true])
  return { below, underneath, controller: controller as unknown as Controller, told }
}

const bytes = (text: string): Buffer<ArrayBuffer> => Buffer.from(text)

test('what has come meanwhile is told in its order, the end once', async () => {
  const { below, underneath, controller, told } = await paused()
  below.onResponseEnd(underneath, {})
  const seen = [1, 2, 3, 4].map(() => {
    controller.resume()
    return [...told]
  })
  expect(seen).toEqual([
    [200, 'one'],
    [200, 'one', 'two'],
    [200, 'one', 'two', 'end'],
    [200, 'one', 'two', 'end'],
  ])
})

test('what comes once nothing waits is told at once', async () => {
  const { below, underneath, controller, told } = await paused()
  controller.resume()
  controller.resume()
  controller.resume()
  expect(underneath.paused).toBe(false)
  below.onResponseData(underneath, bytes('three'))
  expect(told).toEqual([200, 'one', 'two', 'three'])
})

test('an error waits for nobody, and nothing comes after it', async () => {
  const { below, underneath, controller, told } = await paused()
  const error = new Error('broken')
  below.onResponseError(underneath, error)
  controller.resume()
  controller.resume()
  expect(told).toEqual([200, error])
})
