import { root, run } from './run.ts'

/** Builds the package before the tests that use it as its users do. */
export async function setup(): Promise<void> {
  const { status, output } = await run(process.execPath, [`${root}/scripts/build.mjs`])
  if (status !== 0) throw new Error(`The build failed (${status}):\n${output}`)
}
