import type { ColumnReport } from './counts.ts'
import type { FaultReport } from './faults.ts'

export interface DemoReport {
  readonly bare: ColumnReport
  readonly naive: ColumnReport
  readonly holdfast: ColumnReport
  readonly faults: FaultReport
}

/** The claims that this run did not bear out; none, and the demo has made its point. */
export function failedClaims({ bare, naive, holdfast }: DemoReport): string[] {
  const claims: [boolean, string][] = [
    [holdfast.lost === 0, `Holdfast should lose no order, but lost ${holdfast.lost}`],
    [holdfast.doubled === 0, `Holdfast should double no order, but doubled ${holdfast.doubled}`],
    [
      holdfast.unsure === 0,
      `Holdfast should know the end of every order, but is unsure of ${holdfast.unsure}`,
    ],
    [bare.lost > 0, 'bare fetch lost nothing, so the faults were not real'],
    [naive.doubled > 0, 'the naive loop doubled nothing, so the faults were not real'],
  ]
  return claims.filter(([held]) => !held).map(([, failure]) => failure)
}
