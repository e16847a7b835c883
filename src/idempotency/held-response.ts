/** A response that the handler has sent and that is kept back, until it is known what became of a transaction. */
export interface HeldResponse {
  /** Sends it, and lets through whatever is written after it. */
  release(): void
  /** Takes it back: as if the handler had not responded. */
  discard(): void
}
