/** The API does not do what the row says. The message tells what was sent, expected and got. */
export class Failed extends Error {
  override readonly name = 'ConformanceFailure'
}

/** The row says nothing of this API. The message tells why. */
export class Skipped extends Error {}

/** Nothing was shown of this API, neither way, since it or this machine was too slow. The message tells how. */
export class Inconclusive extends Error {
  override readonly name = 'ConformanceInconclusive'
}

/** No row can be run: nobody answers, or not with the fixture. The message has the remedy. */
export class ConformanceSetupError extends Error {
  override readonly name = 'ConformanceSetupError'
}
