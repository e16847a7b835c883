const PASSING = Symbol('passing')
const LAST = Symbol('last')

/** Node 24 has a V8 that shares them. */
const sharesShapes = Number.parseInt(process.versions.node, 10) >= 24

/**
 * Express gives each request and response another prototype, and after that V8 (in Node 20 and 22) makes a new shape,
 * which no other object shares, with every property that they get: with the dozen of this layer a request took 146 us of
 * CPU, and all code that touched it met another shape each time. With a property deleted that is not the last, an object
 * is a dictionary, which has none: 88 us, as much as Express alone.
 */
export function loosen(object: object): void {
  // What a class made has the prototype of the class, and a shape that is shared.
  if (sharesShapes || Object.hasOwn(Object(Object.getPrototypeOf(object)), 'constructor')) return
  Reflect.set(object, PASSING, undefined)
  Reflect.set(object, LAST, undefined)
  Reflect.deleteProperty(object, PASSING)
  Reflect.deleteProperty(object, LAST)
}
