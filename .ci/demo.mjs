/** Runs the demo as a user would, and checks that it ends well and that what it prints for programs is JSON. */
import { spawnSync } from 'node:child_process'

const { status, signal, stdout, stderr } = spawnSync(
  process.execPath,
  ['dist/cli/main.js', 'demo', '--fast', '--json'],
  { encoding: 'utf8', timeout: 120_000 },
)
process.stderr.write(stderr)
if (status !== 0) throw new Error(`The demo ended with ${status ?? signal}:\n${stdout}`)
const report = JSON.parse(stdout)
if (Object.keys(report).length === 0) throw new Error('The demo reported nothing')
console.log(stdout)
