import type { InternalAxiosRequestConfig } from 'axios'
import type { HoldfastInit } from '../../client/options.ts'
import { snapshotBody, type RequestBody } from '../../http/body.ts'

type Config = InternalAxiosRequestConfig
type Whole = string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob

/**
 * The same request with what is all here told to the fetch as it is: of the `Request` that axios makes of everything, a
 * body is a stream. So it is sent again however long it is, and its length is known.
 */
export function withBody(config: Config): Config {
  const { data, headers, onUploadProgress } = config as { data: unknown } & Config
  // Progress is told by a stream, and a length of the caller's belongs to one.
  if (!isWhole(data) || onUploadProgress || headers.getContentLength()) return config
  // Of what is no form it is there at once.
  const whole = snapshotBody(data) as RequestBody
  const { holdfast, ...fetchOptions } = (config.fetchOptions ?? {}) as HoldfastInit
  return {
    ...config,
    fetchOptions: { ...fetchOptions, holdfast: { body: () => whole.next(), ...holdfast } } as object,
  }
}

const isWhole = (data: unknown): data is Whole =>
  typeof data === 'string' || data instanceof ArrayBuffer || ArrayBuffer.isView(data) || data instanceof Blob
