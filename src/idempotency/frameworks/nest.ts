/**
 * Idempotency keys for NestJS, over Express or Fastify.
 *
 * @module
 * @example
 * import { NestFactory } from '@nestjs/core'
 * import { idempotency } from 'holdfast/idempotency/nest'
 * import { memoryStore } from 'holdfast/stores/memory'
 *
 * const app = await NestFactory.create(AppModule, { rawBody: true })
 * app.useGlobalInterceptors(idempotency({ store: memoryStore() }))
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { contextOf } from '../context.ts'
import { Engine } from '../engine.ts'
import { serve, type HandlerRun } from '../node-http/serve.ts'
import type { IdempotencyOptions } from '../options.ts'

export { idempotencyOf, type Idempotency } from '../context.ts'

const ADVICE = 'Create the application with `rawBody: true`.'

/** As much of an execution context as is needed here. */
export interface NestContext {
  getType(): string
  switchToHttp(): { getRequest(): unknown; getResponse(): unknown }
}

/** An interceptor as Nest takes it. */
export interface NestIdempotency {
  intercept<Stream extends Observable>(context: NestContext, next: { handle(): Stream }): Promise<Stream>
}

/** As much of an Observable of RxJS as is needed here. */
export interface Observable {
  subscribe(observer: Observer): unknown
}

interface Observer {
  next(value: unknown): void
  error(error: unknown): void
  complete(): void
}

/**
 * An interceptor that protects what it is bound to: the same key with the same request runs the handler once, and
 * everybody who asks again gets the first response. Nest parses bodies before, so the application is to be created
 * with `rawBody: true`. Bind it as the first interceptor.
 *
 * @throws {HoldfastError} `ERR_INVALID_OPTION`
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
export function idempotency<Req extends object = IncomingMessage>(
  options: IdempotencyOptions<Req>,
): NestIdempotency {
  const engine = new Engine(options)
  return {
    async intercept(context, next) {
      if (context.getType() !== 'http') return next.handle()
      const http = context.switchToHttp()
      // `Req` is chosen by the application.
      const source = http.getRequest() as Req
      const request = rawOf<IncomingMessage>(source, 'rawHeaders')
      const response = rawOf<ServerResponse>(http.getResponse(), 'writeHead')
      const target = String(Reflect.get(source, 'originalUrl') ?? request.url)
      const stream = next.handle()
      let result = derived(stream, () => {})
      const proceed = (run?: HandlerRun): void => {
        result = run === undefined ? stream : watched(stream, run, source)
      }
      await serve(engine, { source, request, response, target, advice: ADVICE, proceed })
      return result
    },
  }
}

/** node:http's own object: Fastify has it as `raw`, Express extends it. Told by a member, since classes differ over HTTP/2. */
function rawOf<T extends object>(wrapped: unknown, member: keyof T): T {
  const raw: unknown = Reflect.get(Object(wrapped), 'raw') ?? wrapped
  // A member that only such an object has stands for all of them.
  if (member in Object(raw)) return raw as T
  throw new TypeError('holdfast/idempotency/nest needs a platform on node:http: Express or Fastify')
}

/** Reports what the handler throws to `run`, before Nest's exception filters answer it. */
function watched<Stream extends Observable>(stream: Stream, run: HandlerRun, source: object): Stream {
  return derived(stream, (observer) =>
    stream.subscribe({
      next: (value: unknown) => observer.next(value),
      error: (error: unknown) => {
        // The handler still runs, and a retry must not run it a second time beside that.
        if (isTimeout(error)) contextOf(source)?.began()
        if (!run.takesOver(error)) observer.error(error)
      },
      complete: () => observer.complete(),
    }),
  )
}

/** What the `timeout` of RxJS throws, or what Nest's documentation makes of it. A `DOMException` has no `info`. */
function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'RequestTimeoutException' || (error.name === 'TimeoutError' && 'info' in error)
}

/** An observable of the same copy of RxJS. One that never emits keeps Nest from answering a second time. */
function derived<Stream extends Observable>(
  stream: Stream,
  subscribe: (observer: Observer) => unknown,
): Stream {
  return Reflect.construct(stream.constructor, [subscribe]) as Stream
}
