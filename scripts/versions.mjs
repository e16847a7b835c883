/**
 * `npm run versions`: the tests of the adapters and of the Redis store, over other major versions of frameworks and
 * clients than those of every clone.
 */
import { install, vitest } from './apart.mjs'

/** Tests of what a version does not have, by a part of their names. */
const LEFT_OUT = {
  earlier: {
    'behind Sentinel, through .node-redis': 'createSentinel came with node-redis 5',
    'of which a node hangs, then is gone':
      'a cluster through node-redis 4 does not find a node again that was gone',
    'a (web stream|Blob|Response) is sent and replayed': 'such bodies came with Koa 3',
    'takes longer than Fastify waits': 'handlerTimeout came with Fastify 5',
    'an error when half of a response is written':
      'Fastify 4 never ends such a response, and leaves a rejection unhandled, without the layer, too',
  },
  later: {},
}

for (const [set, leftOut] of Object.entries(LEFT_OUT)) {
  install(`test/versions/${set}`, '60 MB')
  for (const [name, reason] of Object.entries(leftOut)) console.log(`left out: ${name} (${reason})`)
  const names = ['^', ...Object.keys(leftOut).map((name) => `(?!.*${name})`)].join('')
  vitest(
    '--config',
    'test/versions/vitest.config.ts',
    '--project',
    set,
    '-t',
    names,
    ...process.argv.slice(2),
  )
}
