/** The defaults of what `createFetch` has: an application that has nothing else loads no others. */
export const CLIENT_DEFAULTS = {
  retry: {
    /** After the first attempt: 1 s, 2 s, 4 s, 8 s. */
    maxRetries: 4,
    baseDelayMs: 1000,
    factor: 2,
    maxDelayMs: 30_000,
    /** ±25 %, applied after the cap, so that it does not vanish there. */
    jitter: 0.25,
    /** A longer Retry-After ends the call at once. */
    maxRetryAfterMs: 60_000,
    /** How much of a `Request`'s body is kept to be sent again. */
    maxBufferBytes: 1_048_576,
    statuses: ['5xx', 408, 425, 429],
    methods: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH'],
    /** Whether a download that breaks goes on where it broke. */
    resumeBody: false,
  },
  circuitBreaker: {
    windowMs: 30_000,
    failureRate: 0.5,
    minimumCalls: 10,
    consecutive: false,
    slowCall: false,
    openMs: 5000,
    maxOpenMs: 30_000,
    halfOpenProbes: 1,
    whenOpen: 'reject',
    maxCircuits: 1000,
  },
  idempotency: {
    header: 'Idempotency-Key',
    methods: ['POST', 'PUT', 'PATCH', 'DELETE'],
    honoredBy: 'all',
    format: 'bare',
    /** 23 h: the server forgets after 24 h, and a resend may take its time. */
    windowMs: 82_800_000,
  },
  timeout: {
    attemptMs: 30_000,
    totalMs: 120_000,
    bodyIdleMs: false,
  },
  retryBudget: {
    perSuccess: 0.1,
    perRetry: 1,
    perMinute: 1,
    capacity: 10,
  },
  hedge: {
    percentile: 0.95,
    minimumSamples: 20,
    /** The delay until there are as many samples. */
    delayMs: 1000,
    maxExtra: 0.05,
  },
  bulkhead: {
    maxConcurrent: 10,
    maxQueued: 100,
  },
} as const
