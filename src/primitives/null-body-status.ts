/** A response with one of these never has a body, not even an empty one (Fetch standard, "null body status"). */
export function isNullBodyStatus(status: number): boolean {
  return status === 101 || status === 103 || status === 204 || status === 205 || status === 304
}
