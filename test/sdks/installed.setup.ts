import { existsSync } from 'node:fs'

/** Vitest would tell of twelve imports that lead nowhere. */
export function setup(): void {
  if (existsSync(new URL('node_modules/stripe', import.meta.url))) return
  throw new Error('The SDKs are not installed: `npm run sdks` installs them and runs these tests.')
}
