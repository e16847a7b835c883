import type { InternalAxiosRequestConfig } from 'axios'

/** A form of the npm package form-data, which axios makes in Node: a stream of the oldest kind. */
interface StreamedForm {
  getHeaders(): Record<string, string>
  on(event: 'data', listener: (chunk: Uint8Array | string) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  pause(): void
  resume(): void
}

/** Content types that are wrong for a FormData body: only the platform knows its boundary. */
const WRONG_TYPE = /^(application\/x-www-form-urlencoded|multipart\/form-data(?!.*boundary=))/i

/** Makes a form of any kind one that fetch can send, with its right content type. */
export function withForm(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  const { headers } = config
  const data: unknown = config.data
  // axios calls it URL-encoded here, and in Node sends it so, or multipart without a boundary: the platform types it.
  if (data instanceof FormData && WRONG_TYPE.test(String(headers.getContentType())))
    headers.delete('content-type')
  if (!isStreamedForm(data)) return config
  headers.set(data.getHeaders())
  return { ...config, data: streamOf(data) }
}

/** A form that fetch would send as the text '[object FormData]', since only async iterables are streams to it. */
function isStreamedForm(data: unknown): data is StreamedForm {
  const { getHeaders, pipe } = Object(data) as { getHeaders?: unknown; pipe?: unknown }
  return (
    typeof getHeaders === 'function' &&
    typeof pipe === 'function' &&
    !(Symbol.asyncIterator in (data as object))
  )
}

function streamOf(form: StreamedForm): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  // Some of a form's file streams ignore `pause`.
  let isWanted = true
  return new ReadableStream({
    start(controller) {
      form.on('data', (chunk) => {
        if (!isWanted) return
        controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk)
        if ((controller.desiredSize ?? 0) <= 0) form.pause()
      })
      form.on('end', () => {
        if (isWanted) controller.close()
      })
      form.on('error', (error) => controller.error(error))
    },
    pull: () => form.resume(),
    cancel() {
      isWanted = false
      form.pause()
    },
  })
}
