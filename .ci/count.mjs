/**
 * `node count.mjs REPORT STATUS`: prints how many tests passed and how many failed, from the JSON report of a run of vitest
 * and its exit code. A skipped test counts as failed: whatever it misses has to be installed. So does a run without a
 * single test, and one that failed beside its tests.
 */
import { existsSync, readFileSync } from 'node:fs'

const [file = '', status] = process.argv.slice(2)
if (!existsSync(file)) {
  console.error(`The tests ended with ${status} before they could report`)
  process.exit(1)
}
const report = JSON.parse(readFileSync(file, 'utf8'))
const results = report.testResults.flatMap(({ name, assertionResults }) =>
  assertionResults.map((test) => ({ name: `${name}: ${test.fullName}`, status: test.status })),
)
const passed = results.filter((test) => test.status === 'passed').length
for (const test of results) if (test.status !== 'passed') console.error(`${test.status}: ${test.name}`)

let failed = results.length - passed
if (failed === 0 && (status !== '0' || !report.success || passed === 0)) failed = 1
console.log(passed, failed)
