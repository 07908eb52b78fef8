/** Hundreds of thousands of hostile packets through the TFTP server's requests and transfers. More: npm run fuzz -- tftp. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { fuzz, mostTransfers } from './tftp/run.ts'

it('300,000: no crash, no byte of anything else, no leak, and machines fetch their loader in the midst of them', { timeout: 300_000 }, async () => {
  setFlagsFromString('--expose-gc')
  const { packets, failures, heap: [then, now], mostKept, counts } = await fuzz({ packets: 300_000, seed: 20_261_123, collect: runInNewContext('gc') as () => void })
  expect(failures).toEqual([])
  expect(packets).toBeGreaterThanOrEqual(300_000)
  expect(mostKept).toBeLessThan(2 * mostTransfers) // wires that are being closed count, too
  expect(now - then).toBeLessThan(16)
  for (const what of ['sent blocks', 'sent oack', 'sent error', 'dropped', 'served', 'refused 0', 'refused 1', 'refused 2', 'refused 4', 'transfers', 'failed: the client ended it', 'failed: the client fell silent', 'failed: the client closed its port', 'failed: the client asked again', 'failed: others needed its place']) expect(counts, what).toHaveProperty(what) // it gets everywhere
})
