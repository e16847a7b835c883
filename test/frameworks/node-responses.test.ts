/** What listeners, and middleware between them and the layer, do with a response of node:http beyond the usual. */
import { describe, expect, test } from 'vitest'
import { idempotency, type NodeListener } from '../../src/idempotency/frameworks/node.ts'
import { expectFaithful, expectReleased, layers, serving } from './support.ts'

const { layer } = layers(idempotency)

/** Starts a server for one test; what the listener throws ends the test. */
const listening = (listener: NodeListener): Promise<number> =>
  serving((request, response) => void Promise.resolve(listener(request, response)))

const faithful = async (listener: NodeListener): Promise<number> => {
  const twins = { bare: await listening(listener), kept: await listening(layer()(listener)) }
  return (await expectFaithful(twins, {})).status
}

describe('a status that is no whole number is what Node makes of it', () => {
  test.each<[string, unknown]>([
    ['a text', '201'],
    ['a fraction', 201.9],
    ['a text with a fraction', '201.9'],
  ])('%s', async (_, status) => {
    const listener: NodeListener = (__, response) => {
      Reflect.set(response, 'statusCode', status)
      response.end('x')
    }
    expect(await faithful(listener)).toBe(201)
    expect(await faithful((__, response) => response.writeHead(status as number).end('x'))).toBe(201)
  })

  test('and gives the key back like that', async () => {
    const listener: NodeListener = (_, response) => {
      Reflect.set(response, 'statusCode', '422')
      response.end('no')
    }
    expect((await expectReleased(await listening(layer()(listener)), {})).status).toBe(422)
  })
})
