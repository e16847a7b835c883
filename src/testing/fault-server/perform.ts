import type { Exchange } from './exchange.ts'
import type { CutFault, EndlessFault, Fault, StatusFault } from './faults.ts'

/** Does to a request what the fault says. */
export async function perform(exchange: Exchange, fault: Fault): Promise<void> {
  if (fault.delayMs !== undefined && !(await exchange.pause(fault.delayMs))) return
  if (leavesAfterHandling(fault)) await exchange.handleFully()
  switch (fault.kind) {
    case 'none':
    case 'latency':
      return exchange.pass()
    case 'status':
    case 'status-after':
      return answer(exchange, fault)
    case 'reset':
    case 'reset-after':
      return exchange.reset()
    case 'truncate':
    case 'stall':
      return cut(exchange, fault)
    case 'endless':
      return goOn(exchange, fault)
    case 'hang':
    case 'hang-after':
      return
  }
}

function leavesAfterHandling({ kind }: Fault): boolean {
  return kind === 'reset-after' || kind === 'status-after' || kind === 'hang-after'
}

function answer(exchange: Exchange, fault: StatusFault): void {
  exchange.head(fault.status, '', Object.entries(fault.headers).flat())
  exchange.outgoing.end(fault.body)
}

async function cut(exchange: Exchange, fault: CutFault): Promise<void> {
  const { status, statusText, headers, bytes } = await exchange.handleFully()
  const sent = Math.min(fault.afterBytes ?? bytes.length >> 1, bytes.length)
  // At least one byte stays owed, or the answer would be complete.
  const promised = Math.max(bytes.length, sent + 1)
  exchange.head(status, statusText, [...withoutFraming(headers), 'content-length', String(promised)])
  exchange.outgoing.flushHeaders()
  exchange.outgoing.write(bytes.subarray(0, sent), () => {
    if (fault.kind === 'truncate') exchange.outgoing.socket?.destroy()
  })
}

function withoutFraming(headers: readonly string[]): string[] {
  const framing = new Set(['content-length', 'transfer-encoding'])
  return headers.filter((_, index) => !framing.has((headers[index - (index % 2)] ?? '').toLowerCase()))
}

async function goOn(exchange: Exchange, fault: EndlessFault): Promise<void> {
  exchange.head(fault.status, '', Object.entries(fault.headers).flat())
  exchange.outgoing.flushHeaders()
  do {
    // An empty write would end nothing and send nothing, so a client would see a stalled body.
    exchange.outgoing.write(fault.body)
  } while (await exchange.pause(fault.intervalMs))
}
