/** Real DHCPv6 clients on a real wire: ISC's dhclient, dhcpcd and systemd-networkd against racks in namespaces. Only the region's answers are stood in for. */
import { once } from 'node:events'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WantedEntry } from '../../../../plugins/dhcp/manifest.ts'
import { requirePrograms } from '../../../kit/network.ts'
import { until } from '../../../kit/wait.ts'
import { segment6Entry } from './build6.ts'
import type { Changes6 } from './build6.ts'
import { createLab6, memoryRegion6 } from './lab6.ts'
import type { Client6, Lab6 } from './lab6.ts'

beforeAll(() => { requirePrograms({ dhclient: 'isc-dhcp-client', dhcpcd: 'dhcpcd-base', networkctl: 'systemd', dhcrelay: 'isc-dhcp-relay' }) })
let lab: Lab6
beforeEach(async () => { lab = await createLab6() })
afterEach(async () => { await lab.destroy() })

const entry = (changes: Changes6 = {}): WantedEntry => ({ kind: 'segment6', id: '5', value: segment6Entry(changes) })
const serve = async (changes: Changes6 = {}, region = memoryRegion6(), address = '2001:db8:1::2') => {
  const rack = await lab.rack(`${address}/64`, region)
  await rack.apply([entry({ ...changes, address })], true)
  await rack.ask('start')
  return { rack, region }
}
const boundSoon = (client: Client6, which = /^(BOUND6|REBIND6|RENEW6|REBOOT6) new=2/) => until(async () => (await client.events()).findLast(event => which.test(event)), { timeout: 30_000, what: 'the client has an address' })
const addressIn = (event: string) => /new=(\S+)/.exec(event)?.[1] ?? ''
const mac = (number: number) => `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`
const range = /^2001:db8:1::1:[0-9a-f]{1,2}$/

describe('a real client', () => {
  it('dhclient gets an address, DNS servers and search list, and the region holds its binding', async () => {
    const { region } = await serve()
    const client = await lab.client(mac(1))
    client.dhclient('-1')
    const event = await boundSoon(client)
    expect(event).toMatch(/dns=2001:db8:1::53 2001:db8:1::54 search=example\.org\.? lab\.example\.org\.? life=600/)
    expect(addressIn(event)).toMatch(range)
    expect(region.bindings.get(addressIn(event))?.client).toMatch(/^00030001020000000001\/[0-9a-f]{8}$/)
  })
})
