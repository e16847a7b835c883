import { expect, test } from 'vitest'
import { leftOut } from './servers.ts'

/** A test that stands for those that were left out, with the reason. */
export function testServersAreThere(): void {
  test('the servers that these tests need are there', ({ skip }) => {
    if (leftOut.length > 0) skip(leftOut.join('; '))
    expect(leftOut).toEqual([])
  })
}
