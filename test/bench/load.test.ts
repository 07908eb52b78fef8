/** Reading what the load generators print. */
import { describe, expect, it } from 'vitest'
import { faultOf, readLoad, readPerf } from '../../bench/dhcp/loaded.ts'

const printed = `DORA done=19999/20000 in 1.275s => 15686 handshakes/s; sent=40010 recv=40000 retx=10 failed=1 nak=1 late/dup=3 bad=0 dupAddrs=0
  D->O us: p50=1024 p90=1500 p99=2048 p99.9=4000 max=5000 (n=19999)
  R->A us: p50=2048 p90=2500 p99=4096 p99.9=5000 max=6000 (n=19999)
  total us: p50=3072 p90=4000 p99=6144 p99.9=9000 max=11000 (n=19999)
`
describe('dhcpload', () => {
  it('is read to its figures', () => {
    expect(readLoad(printed)).toEqual({ done: 19_999, count: 20_000, rate: 15_686, retransmitted: 10, naks: 1, duplicates: 0, p50: 3072, p99: 6144 })
    expect(readLoad('need -s -g\n')).toBeUndefined()
  })
  it('is faulty with one exchange lost or one address given twice', () => {
    expect(faultOf({ done: 10, count: 10, naks: 0, duplicates: 0 })).toBeUndefined()
    expect(faultOf({ done: 9, count: 10, naks: 1, duplicates: 0 })).toBe('1 of 10 exchanges lost (1 NAKs)')
    expect(faultOf({ done: 10, count: 10, naks: 0, duplicates: 2 })).toBe('2 duplicate addresses')
  })
})

it('perfdhcp is read to its rate of whole exchanges and its drops', () => {
  expect(readPerf('***Rate statistics***\nRate: 7997.4 4-way exchanges/second, expected rate: 8000\n\n***Statistics for: DISCOVER-OFFER***\nsent packets: 40000\nreceived packets: 39999\ndrops: 1\n\n***Statistics for: REQUEST-ACK***\ndrops: 2\n')).toEqual({ rate: 7997.4, drops: 3 })
  expect(readPerf('usage')).toBeUndefined()
})
