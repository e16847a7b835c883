/**
 * Every default of the server half, in one place: code, docs and tests read it. Durations are milliseconds.
 */
export const SERVER_DEFAULTS = {
  required: false,
  methods: ['POST', 'PUT', 'PATCH', 'DELETE'],
  syntax: 'lenient',
  /** 24 h, from acceptance. */
  ttlMs: 86_400_000,
  /** How long a silent owner keeps its key; it renews at a third of this. */
  leaseMs: 30_000,
  /** With `transactional: true` the default is `'takeover'`. */
  abandoned: 'block',
  transactional: false,
  maxBodyBytes: 1_048_576,
  maxResponseBytes: 1_048_576,
  maxKeysPerScope: 100_000,
  /** The longest a request waits for the store, each time it needs it. */
  storeTimeoutMs: 2000,
  /** How long the function of a transaction may take, and then the response. */
  transactionTimeoutMs: 60_000,
  /** What a duplicate does while the first request runs, unless it says `Prefer: wait`. */
  inFlight: 'reject',
  fingerprint: 'bytes',
  /** Duplicates of one request that wait in this process; the next one is refused at once. */
  maxWaitersPerKey: 100,
  /** What a duplicate is told to wait while the first request runs, and everybody while the store is away. */
  retryAfterMs: 1000,
  /** Characters of a key. */
  maxKeyLength: 255,
  /** Nothing has happened yet when a handler answers with one of these, unless it called `began()`. */
  releasedStatuses: [400, 401, 403, 404, 405, 413, 415, 422, 425, 429, 503],
} as const
