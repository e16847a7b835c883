import { idOf, type Measured } from '../harness/result.ts'

/** A client that asks twice, or answers by itself, would be measured for another. */
export function expectRequests(
  client: Pick<Measured, 'library' | 'name'>,
  made: number,
  arrived: number,
): void {
  if (arrived !== made)
    throw new Error(`${idOf(client)} was asked for ${made} requests, and the service had ${arrived}`)
}
