/** Boot addresses on the command line, against a real region. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import boot from '../../plugins/boot/index.ts'
import provision from '../../plugins/provision/index.ts'
import { openBench } from './cli.kit.ts'
import type { Bench } from './cli.kit.ts'

let bench: Bench
beforeAll(async () => {
  bench = await openBench([provision, boot])
  await ok('subnet create 10.0.0.0/24 --vlan 1')
})
afterAll(() => bench.close())

/** The command succeeds; gives what it printed. */
async function ok (line: string): Promise<string> {
  const { code, out, err } = await bench.bedplate(line)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return out
}
const fails = async (line: string): Promise<string> => {
  const { code, out, err } = await bench.bedplate(line)
  expect([code, out]).toEqual([1, ''])
  return err.trim()
}

it('a VLAN\'s boot address is shown, set by hand, left to the region, or none', async () => {
  expect(await ok('vlan boot-address 10.0.0.0/24')).toBe('FAMILY  SETTING  ADDRESS  RACK  PROBLEM\nIPv4    auto     -        -     -\nIPv6    auto     -        -     -\n')
  expect(await ok('vlan boot-address untagged 10.0.0.9')).toBe('The boot address of VLAN untagged is 10.0.0.9.\n')
  expect(await ok('vlan boot-address untagged')).toContain('IPv4    10.0.0.9  10.0.0.9')
  expect(await ok('address list')).toContain('boot:1')
  expect(await ok('vlan boot-address untagged none')).toBe('VLAN untagged has no boot address: machines find what they boot at the rack that answers them.\n')
  expect(await bench.json('vlan boot-address untagged auto --family 4')).toMatchObject({ v4: { setting: 'auto' }, v6: { setting: 'none' } })
  expect(await ok('vlan boot-address untagged auto')).toBe('VLAN untagged has no boot address yet: one is set aside when two racks serve it.\n')
})

it('what cannot be is refused by name', async () => {
  expect(await fails('vlan boot-address untagged 10.9.0.1')).toBe('bedplate: 10.9.0.1 lies in no subnet of VLAN untagged (1): choose one in 10.0.0.0/24. [NETWORK_INVALID]')
  expect((await bench.bedplate('vlan boot-address untagged first')).code).toBe(2)
  expect((await bench.bedplate('vlan boot-address untagged 10.0.0.9 --family 6')).err).toContain('10.0.0.9 is an address of IPv4')
  expect(await fails('vlan boot-address nowhere auto')).toContain('nowhere')
})
