import { setFlagsFromString } from 'node:v8'

/** Only with this flag can code ask what V8 made of an object; it is read while the code is parsed. */
setFlagsFromString('--allow-natives-syntax')
// oxlint-disable-next-line no-implied-eval, typescript/no-implied-eval -- no TypeScript has this syntax
const ask = new Function('object', 'return %HasFastProperties(object)') as (object: object) => boolean
setFlagsFromString('--no-allow-natives-syntax')

/** Whether V8 keeps an object by a shape, which others may share. Otherwise it is a dictionary. */
export const hasShape = (object: object): boolean => ask(object)
