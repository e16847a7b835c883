import type { InternalAxiosRequestConfig } from 'axios'
import type { HoldfastInit } from '../../client/options.ts'
import { snapshotBody, type RequestBody } from '../../http/body.ts'

type Config = InternalAxiosRequestConfig
type Whole = string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob

/**
 * Passes a body that is in memory to the fetch as it is, since the `Request` that axios makes has only a stream. So it
 * can be sent again however long it is, and its length is known.
 */
export function withBody(config: Config): Config {
  const { data, headers, onUploadProgress } = config as { data: unknown } & Config
  // Upload progress needs the stream, and so does a content-length of the caller's own.
  if (!isWhole(data) || onUploadProgress || headers.getContentLength()) return config
  // Only a form's snapshot is a promise.
  const whole = snapshotBody(data) as RequestBody
  const { holdfast, ...fetchOptions } = (config.fetchOptions ?? {}) as HoldfastInit
  return {
    ...config,
    fetchOptions: { ...fetchOptions, holdfast: { body: () => whole.next(), ...holdfast } } as object,
  }
}

const isWhole = (data: unknown): data is Whole =>
  typeof data === 'string' || data instanceof ArrayBuffer || ArrayBuffer.isView(data) || data instanceof Blob
