export type HeaderLine = readonly [name: string, value: string]

export interface ResponseHead {
  readonly status: number
  /** The reason phrase; empty where there is none. */
  readonly statusText: string
  readonly headers: readonly HeaderLine[]
}

/** A complete response, for a framework to send. */
export interface Answer extends ResponseHead {
  readonly body: Uint8Array
}

/** What a handler answered. Without a body it is a stream, which can't be replayed. */
export interface HandlerResponse extends ResponseHead {
  readonly body: Uint8Array | undefined
}

const EVENT_STREAM = /^\s*text\/event-stream\b/i

export function isEventStream(contentType: unknown): boolean {
  return EVENT_STREAM.test(String(contentType))
}
