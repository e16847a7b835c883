import type { HoldfastFetch } from 'holdfast'

/** An SDK over a Holdfast fetch, beside a stand-in for its API. */
export interface Sdk<Client = unknown> {
  readonly name: string
  /** What the API answers when nothing goes wrong. */
  readonly api: (request: Request) => Response | Promise<Response>
  /** The client as docs/sdks.md advises: by this fetch, and without retries of its own. */
  readonly plugged: (fetch: HoldfastFetch, url: string) => Client
  /** The same with the retries that it comes with; left out where it has none. */
  readonly asItComes?: (fetch: HoldfastFetch, url: string) => Client
  /** How often those send a read that keeps failing with 503. */
  readonly ownAttempts?: number
  /** Where the caller finds the error that the fetch rejected with. */
  readonly errorIn: 'error' | 'error.cause' | 'error.detail'
  /** Resolves to the id of the order that the API tells. */
  readonly read: (client: Client) => Promise<unknown>
  readonly write: (client: Client) => Promise<unknown>
}

/** Infers the type of the client, and forgets it, since each SDK has another. */
export const defineSdk = <Client>(sdk: Sdk<Client>): Sdk => sdk as Sdk
