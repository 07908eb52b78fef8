/** What the HTTP clients of the bench print, read. */
import { expect, test } from 'vitest'
import { readLoad } from '../../bench/httpboot/loaded.ts'

test('a run is read from its line', () => {
  expect(readLoad('{"files":64,"done":63,"seconds":1.5,"bytes":4227858432,"p50":0.29,"p99":0.38,"faults":1,"fault":"other bytes"}\n'))
    .toEqual({ done: 63, seconds: 1.5, bytes: 4227858432, p50: 0.29, p99: 0.38, faults: 1, fault: 'other bytes' })
})
test.each(['', 'killed\n', '{"files":64', '{"files":64,"done":"many"}', '{"done":1,"seconds":null,"bytes":1,"p50":1,"p99":1,"faults":0}'])('%j is no run', text => { expect(readLoad(text)).toBeUndefined() })
