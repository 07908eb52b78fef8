/** VLANs behind relays: their clients get addresses of their own link, from the racks of the VLAN the relays send to. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText, parseIp } from '../../../plugins/dhcp/v4/ipv4.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { segmentOf, subnetsFor } from '../../../plugins/dhcp/v4/segment.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'
import { me, now, packetOf, viewOf } from './build.ts'
import type { Wire } from './build.ts'

const subnet = (id: string, cidr: string, link?: string) => ({ id, cidr, gateway: null, dnsServers: [], dynamic: [{ start: cidr.replace(/0\/24$/, '100'), end: cidr.replace(/0\/24$/, '119') }], leaseSeconds: 600, ...link === undefined ? {} : { link } })
const segment = segmentOf('5', {
  interface: 'eth0', address: '10.0.0.2', rank: 0, mtu: 1500,
  subnets: [subnet('far1', '10.1.0.0/24', '6'), subnet('near2', '10.0.9.0/24'), subnet('near1', '10.0.0.0/24'), subnet('far2', '10.1.9.0/24', '6'), subnet('other', '10.2.0.0/24', '7')]
})
const linkOf = (wire: Wire) => subnetsFor(segment, packetOf({ type: 'DISCOVER', ...wire })).map(({ id }) => id)

describe('a client gets addresses of its own link', () => {
  it.each<readonly [string, Wire, readonly string[]]>([
    ['on the segment itself', {}, ['near1', 'near2']],
    ['behind a relay, which may have several networks', { giaddr: '10.1.0.1' }, ['far1', 'far2']],
    ['behind a relay, the nearest first', { giaddr: '10.1.9.1' }, ['far2', 'far1']],
    ['behind another relay', { giaddr: '10.2.0.1' }, ['other']],
    ['behind a relay of the segment itself', { giaddr: '10.0.9.1' }, ['near2', 'near1']],
    ['nowhere: the relay is unknown', { giaddr: '10.9.0.1' }, []],
    ['where its address is, when it extends its lease past the relay', { type: 'REQUEST', ciaddr: '10.1.0.105' }, ['far1', 'far2']],
    ['on the segment, when its address is of no network here', { type: 'REQUEST', ciaddr: '10.9.0.1' }, ['near2', 'near1']],
    ['not on a link it only says it is on', { options: [[option.subnetSelection, Buffer.of(10, 1, 0, 0)]] }, []],
    ['on the network of the segment that it selects', { options: [[option.subnetSelection, Buffer.of(10, 0, 9, 0)]] }, ['near2', 'near1']]
  ])('%s', (_, wire, expected) => { expect(linkOf(wire)).toEqual(expected) })

  it('and none of another when there is no more', () => {
    const view = { ...viewOf({}), segment, free: (id: string) => id === 'near1' ? [] : [parseIp(id === 'far1' ? '10.1.0.100' : '10.2.0.100')] }
    const decided = (wire: Wire) => { const made = decide(view, packetOf({ type: 'DISCOVER', ...wire }), now); return made.kind === 'offer' ? ipText(made.address) : made.kind }
    expect(decided({})).toBe('drop')
    expect(decided({ giaddr: '10.1.0.1' })).toBe('10.1.0.100')
    expect(decided({ mac: me, giaddr: '10.2.0.1' })).toBe('10.2.0.100')
  })
})

describe('a VLAN that is served through relays', () => {
  let region: Region
  let near: string
  let far: string
  let farVlan: string
  beforeAll(async () => {
    region = await openRegion({ blockSize: 4 })
    near = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.119'])
    const { body: vlan } = await region.call('POST', '/network/fabrics', { name: 'far' })
    farVlan = (await region.network.vlans(region.db)).find(({ fabricId }) => fabricId === vlan.id)!.id
    far = await region.subnet('10.1.0.0/24', ['10.1.0.100', '10.1.0.119'], { vlanId: farVlan })
    await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
    await region.attach('rack-b', { eth1: ['10.0.0.3/24'] })
  })
  afterAll(() => region.close())
  const vlan = (id: string, body: object) => region.call('PUT', `/dhcp/vlans/${id}`, body)

  it('is refused where the racks it names would not give addresses', async () => {
    expect((await vlan(farVlan, { enabled: true, via: '1' })).body).toMatchObject({ code: 'NETWORK_INVALID', detail: expect.stringContaining('Turn DHCP on there first.') })
    await vlan('1', { enabled: true, racks: ['rack-b', 'rack-a'] })
    expect((await vlan(farVlan, { enabled: true })).body.detail).toContain('No rack has an interface')
    expect((await vlan(farVlan, { enabled: true, via: '1', racks: ['rack-a'] })).body.detail).toContain('rank them there')
    expect((await vlan(farVlan, { enabled: true, via: farVlan })).body.detail).toContain('through itself')
    expect((await vlan(farVlan, { enabled: true, via: '1', mode: 'proxy' })).body.detail).toContain('can only be given addresses')
  })
  it('is served by the racks of the VLAN its relays send to, in their order', async () => {
    expect((await vlan(farVlan, { enabled: true, via: '1' })).body).toEqual({ id: farVlan, enabled: true, mode: 'server', v6: 'off', via: '1', racks: [], serving: ['rack-b', 'rack-a'] })
    const keys = await region.running.touches!(await region.changes())
    expect(keys).toContainEqual({ kind: 'segment', id: '1' })
    const segments = (await region.wanted('rack-a')).filter(({ kind }) => kind === 'segment')
    expect(segments).toHaveLength(1)
    expect(segments[0]).toMatchObject({ id: '1', value: { subnets: [{ id: near }, { id: far, link: farVlan }] } })
  })
  it('its addresses are granted, bound and told like others', async () => {
    const [address] = await region.grant('rack-a', far)
    expect(address).toMatch(/^10\.1\.0\./)
    expect(await region.bind('rack-a', { address: address!, client: macOf(1), subnet: far })).toMatchObject([{ stored: true }])
    expect((await region.wanted('rack-b')).find(({ kind, id }) => kind === 'binding' && id === address)).toBeDefined()
    await region.running.reconcile?.(new AbortController().signal)
    expect((await region.wanted('rack-a')).filter(({ kind }) => kind === 'block').map(({ id }) => id)).toContain(far)
  })
  it('keeps the VLAN it is served through from being turned off', async () => {
    expect((await vlan('1', { enabled: false })).body.detail).toContain(`VLAN ${farVlan} is served through this one.`)
    await vlan(farVlan, { enabled: false })
    expect((await vlan('1', { enabled: false })).status).toBe(200)
  })
})
