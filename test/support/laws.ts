import fc from 'fast-check'

/** What holds in any storm, whatever came of it. */
export type Laws<Aftermath, Storm> = Readonly<
  Record<string, (aftermath: Aftermath, storm: Storm) => void | Promise<void>>
>

/** How many: more for a long look, as `STORMS=5000 npx vitest run --project=source storm`. */
export const STORMS: number = Number(process.env['STORMS'] ?? 200)

/** A storm passes, and each law holds after it. */
export const lawful = <Aftermath, Storm>(
  laws: Laws<Aftermath, Storm>,
  storms: fc.Arbitrary<Storm>,
  pass: (storm: Storm) => Promise<Aftermath>,
): fc.IAsyncPropertyWithHooks<[Storm]> =>
  fc.asyncProperty(storms, async (storm) => {
    const aftermath = await pass(storm)
    for (const [law, check] of Object.entries(laws)) {
      try {
        await check(aftermath, storm)
      } catch (error) {
        throw new Error(`broken: ${law}`, { cause: error })
      }
    }
  })
