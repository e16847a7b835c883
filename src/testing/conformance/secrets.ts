import type { Settings } from './options.ts'

/** Shorter ones are no secrets, and would be found everywhere. */
const SHORTEST = 6

/**
 * A message without the values of the headers that were given, nor their words: they may be secrets, and an API may
 * repeat them in what it answers. Nor with what that may have for the terminal.
 */
export function withoutSecrets(message: string, { headers, principals = [{}, {}] }: Settings): string {
  const values = [headers, ...principals].flatMap((fields) => Object.values(fields))
  const secrets = values.flatMap((value) => [value, ...value.split(/[\s,;=]+/)])
  return secrets
    .filter(({ length }) => length >= SHORTEST)
    .toSorted((one, other) => other.length - one.length)
    .reduce((text, secret) => text.replaceAll(secret, '[hidden]'), message)
    .replaceAll(CONTROL, escaped)
}

/** A terminal takes some of them for orders, and headers may have those from U+0080 on. */
const CONTROL = /(?!\s)\p{Cc}/gu

const escaped = (character: string): string => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
