let turn: Promise<void> | undefined

/**
 * Resolves once this turn of the event loop has read from all sockets that had something: what has come together goes on
 * together. A store's client gets the questions of all of them in one write, and their responses leave one after the
 * other: with the client on the same machine, each by itself took 24 us of CPU a request more, half of it in the system.
 */
export function endOfTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined
      resolve()
    })
  })
  return turn
}
