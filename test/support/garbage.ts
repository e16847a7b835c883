import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Node's own collector, called at once. What a `WeakRef` was made of or asked for is collected a turn later at best. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}
