/**
 * `npm run build`: a fresh `dist` with the bundled code and TypeScript's declarations, then the check that `exports`
 * and `dist` agree.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'
import { checkExports, removeUnreachedDeclarations } from './check-exports.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

rmSync(`${root}dist`, { recursive: true, force: true })
try {
  execFileSync(
    process.execPath,
    [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.build.json`],
    {
      stdio: 'inherit',
    },
  )
} catch {
  console.error('build: the sources do not compile')
  process.exit(1)
}
await bundle(root, manifest)
removeUnreachedDeclarations(root)
for (const bin of Object.values(manifest.bin))
  if (existsSync(`${root}${bin}`)) chmodSync(`${root}${bin}`, 0o755)

const problems = checkExports(root)
for (const problem of problems) console.error(`build: ${problem}`)
if (problems.length > 0) process.exit(1)
