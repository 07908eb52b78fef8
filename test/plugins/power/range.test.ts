/** Ranges of addresses, and how a scan of one is shared out. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addressesOf, chunksOf, mostAddresses, parseRange, sharesOf, sizeOf } from '../../../plugins/power/range.ts'

const all = (text: string): string[] => { const range = parseRange(text); return Array.from({ length: chunksOf(range) }, (_, index) => addressesOf(range, index)).flat() }

test.each([
  ['10.0.0.0/24', 254, '10.0.0.1', '10.0.0.254'], ['10.0.0.8/30', 2, '10.0.0.9', '10.0.0.10'], ['10.0.0.8/31', 2, '10.0.0.8', '10.0.0.9'], ['10.0.0.9/32', 1, '10.0.0.9', '10.0.0.9'], ['10.0.0.9', 1, '10.0.0.9', '10.0.0.9'],
  ['10.0.0.250-10.0.1.5', 12, '10.0.0.250', '10.0.1.5'], [' 10.0.0.1 - 10.0.0.2 ', 2, '10.0.0.1', '10.0.0.2'], ['172.16.0.0/16', 65_534, '172.16.0.1', '172.16.255.254'], ['255.255.255.255', 1, '255.255.255.255', '255.255.255.255'], ['0.0.0.0-0.0.255.255', 65_536, '0.0.0.0', '0.0.255.255']
])('%s is %i addresses', (text, count, first, last) => {
  const addresses = all(text)
  expect([sizeOf(parseRange(text)), addresses.length, addresses[0], addresses.at(-1)]).toEqual([count, count, first, last])
})

test.each([
  ['10.0.0.1/24', 'the network that holds this address is 10.0.0.0/24'], ['10.0.0.0/15', 'scan it in parts'], ['10.0.0.9-10.0.0.1', 'ends before it begins'], ['10.0.0.0/33', 'at most 32 bits'], ['10.0.0.256', 'no range of IPv4'], ['2001:db8::/120', 'no range of IPv4'], ['10.0.0', 'write it as 10.0.0.0/24'],
  ['', 'no range'], ['10.0.0.1,10.0.0.2', 'no range'], ['0.0.0.0/0', 'scan it in parts'], ['010.0.0.1', 'no range']
])('%s is refused: %s', (text, why) => { expect(() => parseRange(text)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.stringContaining(why) })) })

test('chunks have every address once, 256 at most, and stay within one /24', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 32 - mostAddresses }), fc.integer({ min: 0, max: mostAddresses - 1 }), (first, more) => {
    const range = { first, last: first + more }
    const chunks = Array.from({ length: chunksOf(range) }, (_, index) => addressesOf(range, index))
    for (const chunk of chunks) expect([chunk.length > 0, chunk.length <= 256, new Set(chunk.map(one => one.slice(0, one.lastIndexOf('.')))).size]).toEqual([true, true, 1])
    expect(new Set(chunks.flat()).size).toBe(sizeOf(range))
  }), { numRuns: 30 })
})

test('addresses go to the racks in whose networks they lie, the narrowest first; what lies in none goes to anybody', () => {
  const networks = [{ rack: 'a', address: '10.0.0.1/25' }, { rack: 'b', address: '10.0.0.2/25' }, { rack: 'b', address: '10.0.0.130/25' }, { rack: 'c', address: '10.0.0.250/8' }, { rack: 'a', address: 'fd00::1/64' }]
  expect(sharesOf(['10.0.0.5', '10.0.0.200', '10.9.9.9', '192.0.2.1', '10.0.0.6'], networks)).toEqual([
    { addresses: ['10.0.0.5', '10.0.0.6'], racks: ['a', 'b', 'c'] }, { addresses: ['10.0.0.200'], racks: ['b', 'c'] }, { addresses: ['10.9.9.9'], racks: ['c'] }, { addresses: ['192.0.2.1'], racks: [] }
  ])
})
