import { clientsOf, subjectsOf, type Exchange, type Ready, type Subject } from '../harness/subject.ts'

const around = subjectsOf<Ready>('none')

/** What all policies have in common: the call itself, awaited. */
export const bareCall: Subject<Ready> = around('bare async call', [], (ready) => ready)

/** The least that anything around an async function can cost. */
export const oneWrapper: Subject<Ready> = around('one async wrapper', [], (ready) => async () => {
  const value = await ready()
  return value
})

/** The transport by itself: a new `Response` for each call. */
export const bareTransport: Subject<Exchange> = clientsOf('none')(
  'bare transport',
  [],
  (transport) => transport,
)
