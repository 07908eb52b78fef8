/** Kernel options, tags and boots on the command line, against a real region. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import boot from '../../plugins/boot/index.ts'
import provision from '../../plugins/provision/index.ts'
import { openBench } from './cli.kit.ts'
import type { Bench } from './cli.kit.ts'

let bench: Bench
beforeAll(async () => {
  bench = await openBench([provision, boot])
  await ok('machine create --mac 52:54:00:00:00:11 --hostname one')
})
afterAll(() => bench.close())

/** The command succeeds; gives what it printed. */
async function ok (line: string | readonly string[]): Promise<string> {
  const { code, out, err } = await bench.bedplate(line)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
}
const fails = async (line: string | readonly string[]): Promise<string> => {
  const { code, out, err } = await bench.bedplate(line)
  expect([code, out]).toEqual([1, ''])
  return err.trim()
}

it('a machine is tagged, and machines are found by their tags', async () => {
  expect(await ok('machine tag one add gpu rack-7')).toBe('Machine one is tagged gpu, rack-7.\n')
  expect(await ok('machine tag one remove rack-7')).toBe('Machine one is tagged gpu.\n')
  expect(await ok('machine show one')).toMatch(/^Tags: +gpu$/m)
  expect((await ok('machine list --tag gpu')).split('\n')[1]).toMatch(/^one /)
  expect((await bench.bedplate('machine list --tag none')).err).toBe('No machine is tagged none.\n')
  expect(await ok('machine tag one remove gpu')).toBe('Machine one has no tags.\n')
  expect((await bench.bedplate('machine tag one paint red')).code).toBe(2)
  expect(await fails(['machine', 'tag', 'one', 'add', 'two words'])).toContain('[INVALID_REQUEST]')
})

it('a machine\'s way to its root is set, and left to its image again', async () => {
  expect(await ok('machine set-boot one --way iscsi')).toBe('Machine one gets its root by iscsi.\n')
  expect(await ok('machine show one')).toMatch(/^Root by: +iscsi$/m)
  expect(await ok('machine set-boot one --way default')).toBe('Machine one gets its root as its image says.\n')
  expect((await bench.bedplate('machine set-boot one --way nfs')).code).toBe(2)
  expect((await bench.bedplate('machine set-boot one')).code).toBe(2)
})

it('kernel options are kept for all, by tag and for one machine, and taken back', async () => {
  expect((await bench.bedplate('boot options list')).err).toBe('No kernel options are kept. Set some: bedplate boot options set global console=ttyS1,115200\n')
  expect(await ok('boot options set global console=ttyS1,115200 nomodeset')).toBe('For global: console=ttyS1,115200 nomodeset\n')
  expect(await ok('boot options set tag:gpu iommu=pt')).toBe('For tag:gpu: iommu=pt\n')
  expect(await ok(['boot', 'options', 'set', 'machine:one', 'pci=noaer quiet'])).toBe('For machine:one: pci=noaer quiet\n')
  expect(await ok('boot options list')).toBe('FOR          OPTIONS\nglobal       console=ttyS1,115200 nomodeset\nmachine:one  pci=noaer quiet\ntag:gpu      iommu=pt\n')
  expect(await ok('boot options show machine:one')).toBe('For:      machine:one\nOptions:  pci=noaer quiet\n')
  expect(await ok('boot options remove machine:one')).toBe('No kernel options are kept for machine:one.\n')
  expect(await fails('boot options show machine:one')).toMatch(/^bedplate: There is no line of kernel options for machine:\S+\. \[NOT_FOUND\]$/)
  expect(await fails('boot options set machine:nobody a=1')).toBe('bedplate: There is no machine nobody. [NOT_FOUND]')
  expect(await fails('boot options set global boot=local')).toBe('bedplate: The request is not valid: these kernel options set "boot", which Bedplate sets itself [INVALID_REQUEST]')
  expect(await fails('boot options set fleet a=1')).toContain('is no scope')
})

it('what a machine fetched when it booted is shown by boot, with the rack it came from', async () => {
  expect((await bench.bedplate('machine boots one')).err).toBe('It has not booted over the network yet.\n')
  const { id } = await bench.json('machine show one')
  const served = async (seconds: number, what: string, by: string, more: object = {}) => {
    const data = { rack: 'rack-1', machine: id, mac: null, address: '10.0.0.9', by, what, bytes: 2048, milliseconds: 1500, failure: null, ...more }
    await bench.daemon.kernel.db!.query('insert into machines.event (machine, at, type, level, message, data) values ($1, $2, $3, $4, $5, $6)', [id, new Date(Date.UTC(2030, 0, 1) + seconds * 1000), 'boot', 'info', what, JSON.stringify(data)])
  }
  await served(0, 'undionly.kpxe', 'tftp')
  await served(900, 'undionly.kpxe', 'tftp', { retries: 3 })
  await served(903, `/files/${'a'.repeat(64)}/vmlinuz`, 'http', { failure: 'the client closed the connection' })
  expect(await ok('machine boots one')).toBe([
    'BOOT  AT                        AFTER  WHAT           BY    RACK    BYTES    TOOK   AGAIN  FAILED',
    '2     2030-01-01T00:14:58.500Z  0.0 s  undionly.kpxe  tftp  rack-1  2.0 KiB  1.5 s  3      -',
    '2     2030-01-01T00:15:01.500Z  3.0 s  vmlinuz        http  rack-1  2.0 KiB  1.5 s  -      the client closed the connection', ''
  ].join('\n'))
  expect(await bench.json('machine boots one --last 5')).toMatchObject([{ number: 1, data: { what: 'undionly.kpxe' } }, { number: 2 }, { number: 2, after: 3 }])
})
