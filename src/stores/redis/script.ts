import type { SendCommand } from './client.ts'

const isMissing = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT')

/** A script that Redis knows by its digest: its text is sent once to each server, and again after a restart. */
export class Script {
  readonly #source: string
  readonly #send: SendCommand
  #digest: Promise<string> | undefined

  constructor(source: string, send: SendCommand) {
    this.#source = source
    this.#send = send
  }

  async run(
    keys: readonly [string, ...string[]],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    const rest = [
      String(keys.length),
      ...keys,
      ...args.map((arg) => (typeof arg === 'number' ? String(arg) : arg)),
    ]
    this.#digest ??= sha1(this.#source)
    try {
      return await this.#send(keys[0], ['EVALSHA', await this.#digest, ...rest])
    } catch (error) {
      if (!isMissing(error)) throw error
      return this.#send(keys[0], ['EVAL', this.#source, ...rest])
    }
  }
}

/** Redis names scripts by their SHA-1. */
async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(text))
  return Buffer.from(digest).toString('hex')
}
