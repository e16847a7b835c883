/**
 * Whether this is Cloudflare's runtime: there a request's timers and promises are its own. A promise that another
 * request settles is an error or never settles; and when a request ends, nothing of it runs any more, no `finally` either.
 */
export const onWorkers = (): boolean =>
  (globalThis.navigator as Navigator | undefined)?.userAgent === 'Cloudflare-Workers'
