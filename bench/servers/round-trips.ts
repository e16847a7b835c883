import { Socket } from 'node:net'

/**
 * Counts how often this process asks a server and waits for its answer: what it writes after it has read, or at first.
 * Right where one request is under way at a time.
 */
export function countRoundTrips(port: number): () => number {
  const asking = new WeakSet<Socket>()
  let trips = 0
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its socket
  const { write } = Socket.prototype
  Socket.prototype.write = function (this: Socket, ...args: Parameters<typeof write>): boolean {
    if (this.remotePort === port && !asking.has(this)) {
      asking.add(this)
      trips++
      this.once('data', () => asking.delete(this))
    }
    return write.apply(this, args)
  } as typeof write
  return () => trips
}
