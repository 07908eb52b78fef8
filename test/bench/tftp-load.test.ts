/** Reading what tftpload prints. */
import { describe, expect, it } from 'vitest'
import { faultOf, readLoad } from '../../bench/tftp/loaded.ts'

const printed = `ERROR 0 Too many transfers at once; try again
TFTP done=199/200 errs=1 bad=0 in 1.540s => 129.9 MiB/s; blksize=1468 windowsize asked=16 granted=1; DATA=143000 ACK=9200 dups=12 gaps=3 timeouts=7 simulated-drops=26
  per-file ms: p50=1503.7 p90=1531.6 p99=1537.7 max=1540.1
`
describe('tftpload', () => {
  it('is read to its figures', () => {
    expect(readLoad(printed)).toEqual({ done: 199, count: 200, rate: 129.9, p50: 1503.7, p99: 1537.7, windowSize: 1, repeated: 12, timeouts: 7, dropped: 26, wrong: 0 })
    expect(readLoad('tftpload -s SERVER\n')).toBeUndefined()
  })
  it('is faulty with one file lost or one that differs', () => {
    expect(faultOf({ done: 10, count: 10, wrong: 0 })).toBeUndefined()
    expect(faultOf({ done: 9, count: 10, wrong: 0 })).toBe('1 of 10 files lost')
    expect(faultOf({ done: 10, count: 10, wrong: 2 })).toBe('2 files or blocks differ')
  })
})
