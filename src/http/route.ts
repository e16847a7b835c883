/**
 * Under this an init carries the way of an interceptor through a fetch. Whoever comes that way wants what came over the
 * wire, and not what fetch would have made of it.
 */
export const ROUTE: unique symbol = Symbol('route')
