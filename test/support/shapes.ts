import { setFlagsFromString } from 'node:v8'

/**
 * Only with this flag can code ask what V8 made of an object. It stays: V8 parses the code again where it has thrown away
 * what it had compiled.
 */
setFlagsFromString('--allow-natives-syntax')
// oxlint-disable-next-line no-implied-eval, typescript/no-implied-eval -- no TypeScript has this syntax
const ask = new Function('object', 'return %HasFastProperties(object)') as (object: object) => boolean

/** Whether V8 keeps an object by a shape, which others may share. Otherwise it is a dictionary. */
export const hasShape = (object: object): boolean => ask(object)
