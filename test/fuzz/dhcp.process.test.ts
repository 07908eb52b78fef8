/** Half a million hostile packets through the receive path, and what earlier ones found. More: npm run fuzz -- dhcp. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { packetOf } from '../plugins/dhcp/build.ts'
import { readCorpus } from './dhcp/corpus.ts'
import { createFuzzRack } from './dhcp/rack.ts'
import { fuzz, mostKept } from './dhcp/run.ts'

describe('hostile packets', () => {
  it('500,000: no crash, no wrong lease, no leak, and known machines boot in the midst of them', { timeout: 300_000 }, async () => {
    setFlagsFromString('--expose-gc')
    const { packets, failures, heap: [then, now], mostKept: kept, counts } = await fuzz({ packets: 500_000, seed: 20_300_101, collect: runInNewContext('gc') as () => void })
    expect(failures).toEqual([])
    expect(packets).toBeGreaterThanOrEqual(500_000)
    expect(kept).toBeLessThan(mostKept)
    expect(now - then).toBeLessThan(32)
    for (const what of ['sent OFFER', 'sent ACK', 'sent NAK', 'starved', 'option-truncated', 'unanswered', 'refused', 'relay-long', 'alone by reserve', 'alone by knowledge', 'sent LEASEACTIVE']) expect(counts, what).toHaveProperty(what) // it gets everywhere
  })
})

describe('every packet of the corpus', () => {
  it.each(readCorpus().map(({ name, data }) => [name, data] as const))('%s does no harm, and a good one after it is answered', async (_name, data) => {
    const rack = createFuzzRack()
    for (const segment of rack.segments) { rack.receive(Buffer.from(data), segment); await rack.pass(1) }
    expect((await rack.exchange(packetOf({ type: 'DISCOVER' }))).length).toBeLessThanOrEqual(1)
    await rack.pass(2000)
    expect((await rack.exchange(packetOf({ type: 'DISCOVER' }))).length).toBe(1)
    expect(rack.troubles()).toEqual([])
  })
})
