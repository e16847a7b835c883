import { onWorkers } from './on-workers.ts'

/** Code that is loaded when it is first needed: nobody ships or starts what is switched off. */
export interface Lazy<M> {
  /** The code, once it is there. */
  loaded: M | undefined
  /** Who asks meanwhile gets the same promise, so that first calls that come together go on together. */
  readonly load: () => Promise<M>
}

export function lazy<M>(load: () => Promise<M>): Lazy<M> {
  let loading: Promise<M> | undefined
  const begin = async (): Promise<M> => {
    try {
      return (code.loaded = await load())
    } finally {
      loading = undefined
    }
  }
  const code: Lazy<M> = {
    loaded: undefined,
    // On workers no promise is settled from another request: each asks for itself.
    load: () => (onWorkers() ? begin() : (loading ??= begin())),
  }
  return code
}
