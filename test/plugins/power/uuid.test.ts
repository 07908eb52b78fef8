/** UUIDs in the two orders that firmware and BMCs write them in. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { realUuid, spellings } from '../../../plugins/power/uuid.ts'

test('the same sixteen bytes, the first three fields reversed, are the same machine', () => {
  expect(spellings('00112233-4455-6677-8899-AABBCCDDEEFF')).toEqual(['00112233-4455-6677-8899-aabbccddeeff', '33221100-5544-7766-8899-aabbccddeeff'])
  fc.assert(fc.property(fc.uuid(), uuid => {
    const [one, other = one] = spellings(uuid)
    if (one === undefined) return
    expect(one).toBe(uuid.toLowerCase())
    expect([...spellings(other)].sort()).toEqual([...spellings(uuid)].sort())
  }))
})

test.each([[null], [undefined], [''], ['unknown'], ['Not Settable'], ['00000000-0000-0000-0000-000000000000'], ['FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'], ['03000200-0400-0500-0006-000700080009'], ['00020003-0004-0005-0006-000700080009'], ['00112233445566778899aabbccddeeff']])('%s tells no machine from another', text => {
  expect([realUuid(text), spellings(text)]).toEqual([null, []])
})
