/** `node scripts/pack.mjs FILE`: builds, and packs the package as it would be published into FILE. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const [target] = process.argv.slice(2)
if (!target) throw new Error('Usage: node scripts/pack.mjs FILE')
const root = fileURLToPath(new URL('..', import.meta.url))
const file = resolve(target)

mkdirSync(dirname(file), { recursive: true })
execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' })
// The build has just run: without --ignore-scripts `prepack` would repeat it.
const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', dirname(file)]
const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' }))
renameSync(join(dirname(file), packed.filename), file)
console.log(`${packed.filename}: ${packed.files.length} files, ${(packed.size / 1024).toFixed(1)} KB packed`)
