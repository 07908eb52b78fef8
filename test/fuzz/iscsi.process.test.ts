/** Hostile PDUs and commands through the target. More: npm run fuzz -- iscsi. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { fuzz } from './iscsi/run.ts'

describe('hostile initiators', () => {
  it('100,000 PDUs: no crash, no access beyond a disk, no answer out of order, no leak, and a good initiator is served in the midst of them', { timeout: 300_000 }, async () => {
    setFlagsFromString('--expose-gc')
    const { packets, failures, heap: [then, now], counts } = await fuzz({ packets: 100_000, seed: 20_300_102, collect: runInNewContext('gc') as () => void })
    expect(failures).toEqual([])
    expect(packets).toBeGreaterThanOrEqual(100_000)
    expect(now - then).toBeLessThan(32)
    for (const what of ['login', 'response', 'data', 'r2t', 'task', 'text', 'nop', 'logout', 'reject']) expect(counts[`answered ${what}`] ?? 0, what).toBeGreaterThan(5) // it gets everywhere
  })
  it('are found out when there is something to find: a disk that says it is larger than it is', { timeout: 60_000 }, async () => {
    const { failures } = await fuzz({ packets: 50_000, seed: 1, lyingDisk: true })
    expect(failures.map(({ what }) => what).join('\n')).toMatch(/RangeError: \d+ bytes from \d+ of/)
  })
})
