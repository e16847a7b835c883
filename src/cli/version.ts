import { createRequire } from 'node:module'

/** The version of the package this file belongs to, wherever in it that lies. */
export function packageVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('holdfast/package.json')
  const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return hasVersion ? String(manifest.version) : 'unknown'
}
