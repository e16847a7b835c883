/**
 * Servers that tests need. One that is missing is a failure in CI; elsewhere its tests are left out, with a line that
 * says what is missing and how to get it.
 */

/** Why tests are left out. */
export const leftOut: string[] = []

/** Where a server is; `undefined` where there is none and its tests are to be left out. */
export async function urlOf(find: () => Promise<string>): Promise<string | undefined> {
  try {
    return await find()
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error
    const reason = error instanceof Error ? error.message : String(error)
    leftOut.push(reason)
    console.warn(`LEFT OUT: ${reason}`)
    return undefined
  }
}
