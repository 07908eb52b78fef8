/** Hostile PDUs and commands through the target, in a process of its own: what makes it go round for ever is found by the clock. More: npm run fuzz -- iscsi. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { FuzzOutcome } from './dhcp/run.ts'
import { fuzz } from './iscsi/run.ts'

describe('hostile initiators', () => {
  it('100,000 PDUs: no crash, no hang, no access beyond a disk, no answer out of order, no leak, and a good initiator is served in the midst of them', { timeout: 300_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'main.ts'), 'iscsi', '--packets', '100000', '--seed', '20300102', '--json'], { timeout: 240_000, killSignal: 'SIGKILL' })
    const { packets, failures, heap: [then, now], counts } = JSON.parse(stdout) as FuzzOutcome
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
