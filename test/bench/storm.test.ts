/** What the clients of the boot storm print, read. */
import { expect, test } from 'vitest'
import { readStorm } from '../../bench/storm/loaded.ts'

const line = '{"clients":200,"done":199,"seconds":4.8,"dhcpAgain":75,"tftpAgain":2,"dhcp":[0.1,1.3],"loader":[0.4,0.9],"script":[0.3,0.7],"kernel":[0.7,1.6],"initrd":[0.8,1.5],"fault":"client 7, kernel: other bytes"}'
test('a storm is read from its line', () => {
  expect(readStorm(`something else\n${line}\n`)).toEqual({
    clients: 200, done: 199, seconds: 4.8, dhcpAgain: 75, tftpAgain: 2, fault: 'client 7, kernel: other bytes',
    took: { dhcp: [0.1, 1.3], loader: [0.4, 0.9], script: [0.3, 0.7], kernel: [0.7, 1.6], initrd: [0.8, 1.5] }
  })
})
test.each(['', line.slice(0, 90), line.replace('[0.1,1.3]', '0.1'), line.replace('4.8', '"long"')])('%j is none', text => { expect(readStorm(text)).toBeUndefined() })
