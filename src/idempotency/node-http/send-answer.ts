import type { ServerResponse } from 'node:http'
import type { Answer } from '../answer.ts'
import { setReason } from './node-behaviour.ts'
import { setLines } from './headers.ts'

/** Sends a whole response. */
export function sendAnswer(
  response: ServerResponse,
  { status, statusText, headers, body }: Answer,
  end: (bytes: Uint8Array) => unknown = (bytes) => response.end(bytes),
): void {
  response.statusCode = status
  setReason(response, statusText)
  setLines(response, headers)
  // A Buffer, since middleware outside may call its methods.
  end(Buffer.from(body.buffer, body.byteOffset, body.byteLength))
}
