const PASSING = Symbol('passing')
const LAST = Symbol('last')

/** The V8 of Node 24 shares hidden classes there, too. */
const sharesShapes = Number.parseInt(process.versions.node, 10) >= 24

/**
 * Puts an object into V8's dictionary mode, in which it has no hidden class (shape).
 *
 * Express gives each request and response a prototype of its own. After that V8 (in Node 20 and 22) makes a new hidden
 * class, which no other object shares, for every property that is added: with the dozen of this layer a request took
 * 146 us of CPU, and all code that touched it saw another hidden class each time. Deleting a property that was not added
 * last switches to dictionary mode: 88 us, as much as Express alone.
 */
export function toDictionaryMode(object: object): void {
  // The prototype of a class (with `constructor`): its objects share their hidden classes, and are left as they are.
  if (sharesShapes || Object.hasOwn(Object(Object.getPrototypeOf(object)), 'constructor')) return
  Reflect.set(object, PASSING, undefined)
  Reflect.set(object, LAST, undefined)
  Reflect.deleteProperty(object, PASSING)
  Reflect.deleteProperty(object, LAST)
}
