/**
 * undici's dispatching, as far as an interceptor has to know it. By its shape: which undici there is, or whether there is
 * one at all, is the application's business.
 */

export type HeaderValue = string | readonly string[] | undefined
export type HeaderRecord = Readonly<Record<string, HeaderValue>>

/** The forms in which undici takes headers: names and values in turn, an object, or pairs. */
export type RequestHeaders =
  | HeaderRecord
  | readonly (string | readonly string[])[]
  | Iterable<readonly [string, HeaderValue]>
  | null

export interface DispatchOptions {
  readonly origin?: string | URL
  readonly path: string
  readonly method: string
  readonly query?: Readonly<Record<string, unknown>>
  readonly headers?: RequestHeaders
  readonly body?: unknown
  readonly upgrade?: boolean | string | null
}

/** Headers as they came: names and values in turn. HTTP/2 of undici 8 has an object instead. */
export type RawHeaders = readonly unknown[] | HeaderRecord | null | undefined

/** What a response begins with. */
export interface Head {
  readonly status: number
  /** As they came: undici 6 has names and values in turn. */
  readonly headers: HeaderRecord | readonly unknown[]
  readonly message: string | undefined
  readonly raw: RawHeaders
}

export type Bytes = Uint8Array<ArrayBuffer>

/** What a response ends with. */
export interface End {
  /** As they came. */
  readonly trailers: HeaderRecord | readonly unknown[]
  readonly raw: RawHeaders
}

/** Who gets what comes of an attempt. */
export interface Receiver {
  onHead?(head: Head): void
  onData(chunk: Bytes): void
  onEnd?(end: End): void
  onError?(error: unknown): void
}

/** What undici gives a handler to steer its request by, and Holdfast the caller's. */
export interface Controller {
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: unknown
  rawHeaders?: RawHeaders
  rawTrailers?: RawHeaders
  abort(reason: unknown): void
  pause(): void
  resume(): void
}

/** A handler of undici 7 and 8. */
export interface Handler {
  onRequestStart?(controller: Controller, context: unknown): void
  onResponseStarted?(): void
  onResponseStart?(controller: Controller, status: number, headers: HeaderRecord, message?: string): void
  onResponseData?(controller: Controller, chunk: Bytes): void
  onResponseEnd?(controller: Controller, trailers: HeaderRecord): void
  onResponseError?(controller: Controller, error: unknown): void
}

/** A handler of undici 6 and of the fetch in Node 20; `false` means: wait until I resume. */
export interface OldHandler {
  onConnect?(abort: (reason?: unknown) => void, context?: unknown): void
  onResponseStarted?(): void
  onHeaders?(
    status: number,
    headers: readonly unknown[],
    resume: () => void,
    message?: string,
  ): boolean | undefined
  onData?(chunk: Bytes): boolean | undefined
  onComplete?(trailers: readonly unknown[]): void
  onError?(error: unknown): void
}

export type AnyHandler = Handler & OldHandler

export type Dispatch = (options: DispatchOptions, handler: AnyHandler) => boolean

/** A dispatcher, as far as it is used here. */
export interface Sending {
  dispatch(options: DispatchOptions, handler: AnyHandler): boolean
}
