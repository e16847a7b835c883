let turn: Promise<void> | undefined

/**
 * Resolves once this turn of the event loop has read from every socket that was ready, so that requests which arrive
 * together go on together: their commands reach the store in one write. With clients on the same machine that saves
 * 24 us of CPU a request, half of it system time.
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
