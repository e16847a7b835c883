import { existsSync } from 'node:fs'
import { setup as build } from '../package/build.setup.ts'

/** Vitest would tell of twelve imports that lead nowhere. Some tests use the package as it is published. */
export async function setup(): Promise<void> {
  if (!existsSync(new URL('node_modules/stripe', import.meta.url))) {
    throw new Error('The SDKs are not installed: `npm run sdks` installs them and runs these tests.')
  }
  await build()
}
