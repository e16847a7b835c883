import type { SupabaseClient } from '@supabase/supabase-js'
import { GraphQLClient } from 'graphql-request'
import OpenAI from 'openai'
import type { Stripe } from 'stripe'
import { describe, expect, test } from 'vitest'
import { stripe } from './cases/stripe.ts'
import { supabase } from './cases/supabase.ts'
import { trpc, type TrpcClient } from './cases/trpc.ts'
import { answer, ORDER } from './graphql.ts'
import { apiOf, holdfast, keysOf, unavailable } from './support.ts'

const ignoresKeys = { idempotency: { honoredBy: [] } }

describe('stripe', () => {
  test('its own idempotencyKey is the one that is sent', async () => {
    const server = await apiOf(stripe.api, [unavailable])
    const client = stripe.plugged(holdfast(), server.url) as Stripe
    await client.customers.create({ name: 'Ann' }, { idempotencyKey: 'order-17' })
    expect(keysOf(server)).toEqual(['order-17', 'order-17'])
  })
})

describe('openai', () => {
  const clientOf = (url: string): OpenAI =>
    new OpenAI({ apiKey: 'sk-17', fetch: holdfast(), maxRetries: 0, baseURL: url })

  test('an answer that streams comes after a 503', async () => {
    const events = ['An', 'chors'].map((content) => ({ choices: [{ delta: { content } }] }))
    const lines = [...events.map((event) => JSON.stringify(event)), '[DONE]'].map(
      (data) => `data: ${data}\n\n`,
    )
    const api = () => new Response(lines.join(''), { headers: { 'Content-Type': 'text/event-stream' } })
    const server = await apiOf(api, [unavailable])
    const messages = [{ role: 'user' as const, content: 'What holds a ship?' }]
    const stream = await clientOf(server.url).chat.completions.create({
      model: 'gpt',
      messages,
      stream: true,
    })
    let text = ''
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? ''
    expect(text).toBe('Anchors')
    expect(server.requests).toHaveLength(2)
  })

  test('a file is uploaded again with the same boundary', async () => {
    const server = await apiOf(() => Response.json({ id: 'file-17' }), [unavailable])
    const file = new File(['{"anchor":1}'], 'anchors.jsonl')
    await clientOf(server.url).files.create({ file, purpose: 'batch' })
    const [first, second] = server.requests
    expect(first?.headers['content-type']).toMatch(/^multipart\/form-data; *boundary=/)
    expect(second?.headers['content-type']).toBe(first?.headers['content-type'])
    expect(first?.body?.toString()).toContain('{"anchor":1}')
    expect(second?.body).toEqual(first?.body)
  })
})

test('supabase: a file is uploaded again', async () => {
  const server = await apiOf(() => Response.json({ Id: '17', Key: 'files/a.txt' }), [unavailable])
  const client = supabase.plugged(holdfast(), server.url) as SupabaseClient
  const { error } = await client.storage.from('files').upload('a.txt', new Blob(['an anchor']))
  expect(error).toBeNull()
  const [first, second] = server.requests
  expect(first?.body?.toString()).toContain('an anchor')
  expect(second?.body).toEqual(first?.body)
})

test('tRPC: a batch of mutations is one request with one key', async () => {
  const server = await apiOf(trpc.api, [unavailable])
  const client = trpc.plugged(holdfast(), server.url) as TrpcClient
  expect(await Promise.all([client.add.mutate(), client.add.mutate()])).toEqual([
    { id: 'o-17' },
    { id: 'o-17' },
  ])
  expect(server.requests.map(({ path }) => path)).toEqual(['/add,add?batch=1', '/add,add?batch=1'])
  expect(new Set(keysOf(server)).size).toBe(1)
})

describe('for an API that ignores keys', () => {
  test('a GraphQL query is sent once by POST', async () => {
    const server = await apiOf(answer, [unavailable])
    const client = new GraphQLClient(server.url, { fetch: holdfast(ignoresKeys) })
    await expect(client.request(ORDER)).rejects.toThrow('503')
    expect(server.requests).toHaveLength(1)
  })

  test('and again by GET', async () => {
    const server = await apiOf(answer, [unavailable])
    const client = new GraphQLClient(server.url, { fetch: holdfast(ignoresKeys), method: 'GET' })
    await client.request(ORDER)
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET'])
    expect(keysOf(server)).toEqual([undefined, undefined])
  })
})
