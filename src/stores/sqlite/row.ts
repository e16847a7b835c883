import type { KeyRecord } from '../acquire-decision.ts'

/** A row that no version of this store can have written: it is refused, never guessed at. */
function foreign(column: string): Error {
  return new Error(`sqliteStore: column ${column} of holdfast_keys holds what Holdfast never wrote`)
}

function column(row: unknown, name: string): unknown {
  if (typeof row !== 'object' || row === null) throw foreign(name)
  return Reflect.get(row, name)
}

export function numberIn(row: unknown, name: string): number {
  const value = column(row, name)
  // A connection that was told to read big integers gives those.
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'number') throw foreign(name)
  return value
}

function textIn(row: unknown, name: string): string {
  const value = column(row, name)
  if (typeof value !== 'string') throw foreign(name)
  return value
}

/** Drivers give blobs as Uint8Array, Buffer or ArrayBuffer. */
export function bytesOf(row: unknown, name: string): Uint8Array | undefined {
  const value = column(row, name)
  if (value === null) return undefined
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (value instanceof Uint8Array) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  throw foreign(name)
}

function stateIn(row: unknown): KeyRecord['state'] {
  const state = textIn(row, 'state')
  if (state !== 'active' && state !== 'done' && state !== 'released') throw foreign('state')
  return state
}

export function recordOf(row: unknown): KeyRecord {
  const response = bytesOf(row, 'response')
  const state = stateIn(row)
  if ((state === 'done') !== (response !== undefined)) throw foreign('response')
  return {
    state,
    fingerprint: textIn(row, 'fingerprint'),
    owner: textIn(row, 'owner'),
    fence: numberIn(row, 'fence'),
    leaseUntilMs: numberIn(row, 'lease_until_ms'),
    expiresMs: numberIn(row, 'expires_ms'),
    response,
  }
}
