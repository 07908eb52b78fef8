/** Interfaces of a region alone: what is shown of what the operating system tells. */
import { networkInterfaces } from 'node:os'
import type { NetworkInterfaceInfo } from 'node:os'
import { expect, test } from 'vitest'
import { ownInterfaces } from '../../../plugins/tracking/interfaces.ts'

const info = (address: string, more: Partial<NetworkInterfaceInfo> = {}): NetworkInterfaceInfo => ({ address, cidr: `${address}/24`, mac: '52:54:00:00:00:01', internal: false, family: 'IPv4', netmask: '255.255.255.0', ...more } as NetworkInterfaceInfo)

test('loopback and link-local addresses are left out, the rest is in order', () => {
  expect(ownInterfaces({ lo: [info('127.0.0.1', { internal: true })], eth1: [info('10.0.1.2')], eth0: [info('fe80::1'), info('10.0.0.9'), info('10.0.0.2'), info('169.254.3.4')], eth2: [info('FE80::2')], none: undefined }))
    .toEqual([{ name: 'eth0', mac: '52:54:00:00:00:01', addresses: ['10.0.0.2/24', '10.0.0.9/24'] }, { name: 'eth1', mac: '52:54:00:00:00:01', addresses: ['10.0.1.2/24'] }])
})
test('those of this host can be read', () => { for (const { name, addresses } of ownInterfaces(networkInterfaces())) expect([name, addresses.length > 0]).toEqual([expect.stringMatching(/./), true]) })
