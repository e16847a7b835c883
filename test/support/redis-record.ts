/** What the Redis store packs into the field `m` of a record, as `src/stores/redis/scripts.ts` lays it out. */

const STATES = { a: 'active', d: 'done', r: 'released' } as const

const STATE_AT = 4
const EXPIRY_AT = 29
const FINGERPRINT_AT = 37

export function stateOf(packed: Buffer): (typeof STATES)[keyof typeof STATES] {
  const letter = String.fromCharCode(packed.readUInt8(STATE_AT))
  return STATES[letter as keyof typeof STATES]
}

export const expiryOf = (packed: Buffer): number => packed.readDoubleBE(EXPIRY_AT)

/** The record in progress of another owner. */
export function seizedBy(packed: Buffer, owner: string): Buffer {
  const ownerAt = FINGERPRINT_AT + 4 + packed.readUInt32BE(FINGERPRINT_AT)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(Buffer.byteLength(owner))
  const seized = Buffer.concat([packed.subarray(0, ownerAt), length, Buffer.from(owner)])
  seized.write('a', STATE_AT)
  return seized
}
