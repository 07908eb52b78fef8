import { describe, expect, it } from 'vitest'
import { readLoad } from '../../bench/iscsi/load.ts'

describe('what iscsiload prints', () => {
  it('is read', () => {
    expect(readLoad('{"done":8,"seconds":2.000,"iops":4,"bytes":32768,"p50":0.2,"p99":1.5,"faults":0,"fault":""}\n')).toEqual({ done: 8, iops: 4, bytes: 32_768, p50: 0.2, p99: 1.5, fault: '' })
  })
  it('tells of wrong bytes', () => { expect(readLoad('{"done":1,"seconds":0,"iops":0,"bytes":0,"p50":0,"p99":0,"faults":1,"fault":"wrong bytes at 4096"}')).toMatchObject({ fault: 'wrong bytes at 4096' }) })
  it.each(['', 'Segmentation fault'])('that is none says so: %j', text => { expect(() => readLoad(text)).toThrow('iscsiload said') })
})
