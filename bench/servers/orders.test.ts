import { describe, expect, test } from 'vitest'
import { expectOrders } from './orders.ts'

const bare = { library: 'none', name: 'bare', replays: false }
const ours = { library: 'holdfast', name: 'ours', replays: true }

describe('orders', () => {
  test('are made of every request, but of a replay', () => {
    expect(() => {
      expectOrders(bare, 'new', 10, 10)
      expectOrders(bare, 'known', 10, 10)
      expectOrders(ours, 'new', 10, 10)
      expectOrders(ours, 'known', 10, 0)
    }).not.toThrow()
  })

  test('of a known key mean that nothing is replayed', () => {
    expect(() => expectOrders(ours, 'known', 10, 1)).toThrow('holdfast ours was to make 0 orders')
  })

  test('of new keys that are missing mean that other responses are replayed', () => {
    expect(() => expectOrders(ours, 'new', 10, 9)).toThrow('was to make 10 orders of 10 requests, and made 9')
  })
})
