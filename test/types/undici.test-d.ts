/** The interceptor goes where each undici asks for one. */
import * as undici7 from 'undici'
import * as undici6 from 'undici6'
import { createFetch } from '../../src/index.ts'
import { interceptor, transport, type InterceptorOptions } from '../../src/adapters/undici/index.ts'

new undici6.Agent().compose(interceptor()) satisfies undici6.Dispatcher
new undici7.Agent().compose(interceptor(), undici7.interceptors.redirect()) satisfies undici7.Dispatcher

interceptor({ retry: { maxRetries: 1 }, circuitBreaker: false, fallback: () => undefined })
// @ts-expect-error The dispatcher is the transport.
interceptor({ fetch })
// @ts-expect-error No such option.
;({ retries: 1 }) satisfies InterceptorOptions

createFetch({ fetch: transport({ dispatcher: new undici6.Agent() }) })
transport({ dispatcher: new undici7.Agent().compose(interceptor()), fetch }) satisfies typeof fetch
// @ts-expect-error There is nothing to send by.
transport({})
