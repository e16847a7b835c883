/** undici 8's own types: what needs a newer Node than the oldest one is installed with the SDKs. */
import * as undici8 from 'undici8'
import { createFetch } from '../../src/index.ts'
import { interceptor } from '../../src/adapters/undici/index.ts'

new undici8.Pool('http://127.0.0.1').compose([interceptor()]) satisfies undici8.Dispatcher
interceptor(createFetch()) satisfies undici8.Dispatcher.DispatchInterceptor
