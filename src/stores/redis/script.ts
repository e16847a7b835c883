import type { SendCommand } from './client.ts'

const isMissing = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT')

/** A script that Redis knows by its digest: its text is sent once to each server, and again after a restart. */
export class Script {
  readonly #source: string
  readonly #send: SendCommand
  #digest: string | undefined

  constructor(source: string, send: SendCommand) {
    this.#source = source
    this.#send = send
  }

  /** @param operands its two keys and its arguments */
  async run(...operands: readonly [string, string, ...(string | Buffer)[]]): Promise<unknown> {
    const [key] = operands
    // Without a promise from the second call on.
    const digest = (this.#digest ??= await sha1(this.#source))
    try {
      return await this.#send(key, ['EVALSHA', digest, '2', ...operands])
    } catch (error) {
      if (!isMissing(error)) throw error
      return this.#send(key, ['EVAL', this.#source, '2', ...operands])
    }
  }
}

/** Redis names scripts by their SHA-1. */
async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text))
  return Buffer.from(digest).toString('hex')
}
