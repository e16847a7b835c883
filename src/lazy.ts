/** Code that is loaded when it is first needed: nobody ships or starts what is switched off. */
export interface Lazy<M> {
  /** The code, once it is there. */
  loaded: M | undefined
  /** Each who needs it asks for itself: on workers no promise is settled from another request. */
  readonly load: () => Promise<M>
}

export function lazy<M>(load: () => Promise<M>): Lazy<M> {
  const code: Lazy<M> = {
    loaded: undefined,
    load: async () => (code.loaded = await load()),
  }
  return code
}
