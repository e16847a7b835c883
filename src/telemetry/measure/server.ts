import type { IdempotencyEvent, OnIdempotencyEvent } from '../../idempotency/events.ts'
import { methodOf } from './attributes.ts'
import type { Backend } from './backend.ts'
import { SERVER_INSTRUMENTS } from './instruments.ts'

/** Measures what `idempotency()` tells. */
export function measureServer(backend: Backend): OnIdempotencyEvent {
  const count = backend.counter(SERVER_INSTRUMENTS.event)
  const record = backend.histogram(SERVER_INSTRUMENTS.execution)
  return (event) => {
    count({ 'holdfast.event': event.type, 'holdfast.code': codeOf(event) })
    if (event.type === 'completed')
      record(event.durationMs, {
        'http.request.method': methodOf(event.method),
        'http.response.status_code': event.status,
      })
  }
}

/** What tells events of one type apart; each has a few values only. */
function codeOf(event: IdempotencyEvent): string | undefined {
  if (event.type === 'rejected') return event.code
  if (event.type === 'store-error') return event.operation
  if (event.type === 'waited') return event.ending
  return undefined
}
