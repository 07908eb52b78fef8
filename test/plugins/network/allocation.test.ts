/** Addresses on a real PostgreSQL: never twice, never from a range, and an end that says so. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatIp, hostsOf, parseCidr, parseIp } from '../../../plugins/network/address.ts'
import { allocate, release } from '../../../plugins/network/allocation.ts'
import { replaceInterfaces } from '../../../plugins/network/store.ts'
import { openPlan } from './plan.kit.ts'
import type { Plan } from './plan.kit.ts'

let plan: Plan
beforeAll(async () => { plan = await openPlan(20) })
afterAll(() => plan.close())

const give = (subnetId: string, wish: Partial<Parameters<typeof allocate>[1]> = {}) => plan.db.tx(tx => allocate(tx, { subnetId, kind: 'auto', ...wish }))
const count = async (subnetId: string): Promise<number> => Number((await plan.db.query<{ n: string }>('select count(*) as n from network.address where subnet_id = $1', [subnetId]))[0]?.n)

describe('allocate', () => {
  it('gives fifty at once fifty different addresses', async () => {
    const subnet = await plan.subnet('10.0.0.0/24', { gateway: '10.0.0.1' })
    await plan.range(subnet, '10.0.0.10', '10.0.0.99')
    const given = await Promise.all(Array.from({ length: 50 }, (_, index) => give(subnet, { owner: `machine-${index}` })))
    expect(new Set(given.map(({ address }) => address)).size).toBe(50)
    for (const { address } of given) {
      const last = Number(address.split('.')[3])
      expect(last > 1 && (last < 10 || last > 99) && last < 255).toBe(true)
    }
  })

  it('fills a subnet under contention to the last address, and then says it is exhausted', async () => {
    const subnet = await plan.subnet('10.0.1.0/28', { gateway: '10.0.1.1', name: 'small' })
    await plan.range(subnet, '10.0.1.5', '10.0.1.8', 'reserved')
    const asked = await Promise.allSettled(Array.from({ length: 30 }, (_, index) => give(subnet, { owner: `machine-${index}` })))
    const given = asked.flatMap(answer => answer.status === 'fulfilled' ? [answer.value.address] : [])
    expect(given.sort()).toEqual(['10', '11', '12', '13', '14', '2', '3', '4', '9'].map(last => `10.0.1.${last}`))
    for (const answer of asked) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'ADDRESS_EXHAUSTED', message: expect.stringContaining('small (10.0.1.0/28)') })
  })

  it('finds what was released behind it', async () => {
    const subnet = await plan.subnet('10.0.2.0/29')
    for (let round = 0; round < 4; round++) {
      await give(subnet, { owner: 'passing' })
      expect(await plan.db.tx(tx => release(tx, { owner: 'passing' }))).toBe(1)
    }
    for (let index = 0; index < 6; index++) await give(subnet, { owner: `m${index}` })
    expect(await plan.db.tx(tx => release(tx, { owner: 'm3' }))).toBe(1)
    await give(subnet, { owner: 'again' })
    await expect(give(subnet, { owner: 'too many' })).rejects.toMatchObject({ code: 'ADDRESS_EXHAUSTED' })
  })

  it('gives the same owner, interface, kind and subnet the same address', async () => {
    const subnet = await plan.subnet('10.0.3.0/24')
    const first = await give(subnet, { owner: 'm', mac: '52-54-00-AA-00-01', hostname: 'one' })
    expect(first).toEqual({ address: '10.0.3.1', subnetId: subnet, kind: 'auto', mac: '52:54:00:aa:00:01', owner: 'm', hostname: 'one' })
    expect(await give(subnet, { owner: 'm', mac: '5254.00aa.0001' })).toEqual(first)
    expect(await give(subnet, { owner: 'm', mac: '525400aa0001', hostname: 'two' })).toEqual({ ...first, hostname: 'two' })
    expect((await give(subnet, { owner: 'm', mac: '525400aa0001', kind: 'sticky' })).address).toBe('10.0.3.2')
    expect((await give(subnet, { owner: 'other', mac: '525400aa0001' })).address).toBe('10.0.3.3')
  })

  it('does not remember anonymous reservations', async () => {
    const subnet = await plan.subnet('10.0.4.0/24')
    expect((await give(subnet, { kind: 'reserved' })).address).toBe('10.0.4.1')
    expect((await give(subnet, { kind: 'reserved' })).address).toBe('10.0.4.2')
  })

  it('gives an address asked for by name, once', async () => {
    const subnet = await plan.subnet('10.0.5.0/24', { gateway: '10.0.5.1', name: 'five' })
    await plan.range(subnet, '10.0.5.100', '10.0.5.200')
    await plan.range(subnet, '10.0.5.50', '10.0.5.60', 'reserved')
    const wish = { address: '10.0.5.55', owner: 'm', mac: '525400aa0001' }
    expect((await give(subnet, wish)).address).toBe('10.0.5.55')
    expect((await give(subnet, wish)).address).toBe('10.0.5.55')
    await expect(give(subnet, { ...wish, owner: 'other' })).rejects.toMatchObject({ code: 'CONFLICT', message: 'Address 10.0.5.55 is in use: it is given to m (auto).' })
    for (const [address, sentence] of [
      ['10.0.6.1', 'Address 10.0.6.1 is outside subnet "five" (10.0.5.0/24).'],
      ['10.0.5.0', 'Address 10.0.5.0 is the network address of subnet "five" (10.0.5.0/24).'],
      ['10.0.5.255', 'Address 10.0.5.255 is the broadcast address of subnet "five" (10.0.5.0/24).'],
      ['10.0.5.1', 'Address 10.0.5.1 is the gateway of subnet "five" (10.0.5.0/24).'],
      ['10.0.5.150', 'Address 10.0.5.150 lies in the dynamic range 10.0.5.100 to 10.0.5.200 of subnet "five" (10.0.5.0/24); only DHCP leases come from there.'],
      ['ten', '"ten" is not an IP address.']
    ]) await expect(give(subnet, { address: address! })).rejects.toMatchObject({ code: 'NETWORK_INVALID', message: sentence })
  })

  it('keeps away from the racks own addresses', async () => {
    const subnet = await plan.subnet('10.0.7.0/24')
    await plan.db.tx(tx => replaceInterfaces(tx, 'rack-7', [{ name: 'eth0', mac: '52:54:00:00:00:07', up: true, addresses: ['10.0.7.1/24', '10.0.7.3/24'] }]))
    expect((await give(subnet)).address).toBe('10.0.7.2')
    expect((await give(subnet)).address).toBe('10.0.7.4')
    await expect(give(subnet, { address: '10.0.7.3' })).rejects.toMatchObject({ code: 'CONFLICT', message: 'Address 10.0.7.3 is in use: interface eth0 of controller rack-7.' })
  })

  it('gives IPv6 addresses as well', async () => {
    const subnet = await plan.subnet('2001:db8::/64', { gateway: '2001:db8::1' })
    expect((await give(subnet)).address).toBe('2001:db8::2')
    expect((await give(subnet, { address: '2001:DB8:0::FFFF' })).address).toBe('2001:db8::ffff')
  })

  it('uses both addresses of a point-to-point subnet and the last one of the address space', async () => {
    const pair = await plan.subnet('10.0.8.0/31')
    expect([(await give(pair)).address, (await give(pair)).address]).toEqual(['10.0.8.0', '10.0.8.1'])
    const end = await plan.subnet('255.255.255.254/31')
    expect([(await give(end)).address, (await give(end)).address]).toEqual(['255.255.255.254', '255.255.255.255'])
    await expect(give(end)).rejects.toMatchObject({ code: 'ADDRESS_EXHAUSTED' })
  })

  it('refuses a subnet nobody knows', async () => {
    for (const id of ['999999', 'nonsense', '-1']) await expect(give(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('changes nothing when the transaction around it fails', async () => {
    const subnet = await plan.subnet('10.0.9.0/24')
    await plan.changes()
    await expect(plan.db.tx(async tx => {
      await allocate(tx, { subnetId: subnet, kind: 'auto', owner: 'm' })
      throw new RangeError('veto')
    })).rejects.toThrow('veto')
    expect([await count(subnet), await plan.changes()]).toEqual([0, []])
    await give(subnet)
    expect(await plan.changes()).toEqual(['network.address 10.0.9.1'])
  })

  it('gives exactly what a plan leaves free, whatever the plan', async () => {
    let third = 0
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 1, max: 14 }), fc.integer({ min: 0, max: 4 })), { maxLength: 4 }), fc.uniqueArray(fc.integer({ min: 1, max: 14 }), { maxLength: 5 }), fc.option(fc.integer({ min: 1, max: 14 }), { nil: undefined }), async (ranges, named, gateway) => {
      const base = `10.9.${third++}`
      const subnet = await plan.subnet(`${base}.0/28`, gateway === undefined ? {} : { gateway: `${base}.${gateway}` })
      const free = new Set(Array.from({ length: 14 }, (_, index) => index + 1))
      if (gateway !== undefined) free.delete(gateway)
      for (const [start, length] of ranges) {
        const { status } = await plan.range(subnet, `${base}.${start}`, `${base}.${start + length}`, 'reserved')
        if (status === 201) for (let at = start; at <= start + length; at++) free.delete(at)
      }
      for (const last of named) {
        if (!free.has(last)) continue
        await give(subnet, { address: `${base}.${last}`, kind: 'reserved' })
        free.delete(last)
      }
      const given: string[] = []
      for (let index = 0; index < free.size; index++) given.push((await give(subnet)).address)
      expect(new Set(given)).toEqual(new Set([...free].map(last => `${base}.${last}`)))
      await expect(give(subnet)).rejects.toMatchObject({ code: 'ADDRESS_EXHAUSTED' })
    }), { numRuns: 15 })
  })
})

describe('the texts of addresses', () => {
  it('are PostgreSQL\'s own', async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map(value => ({ family: 4 as const, value })),
      fc.array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn })), { minLength: 8, maxLength: 8 }).map(words => ({ family: 6 as const, value: words.reduce((value, word) => value << 16n | word, 0n) }))
    ), fc.integer({ min: 0, max: 32 }), async (ip, length) => {
      const [row] = await plan.db.query<{ text: string, prefix: string, last: string }>('select host($1::inet) as text, network(set_masklen($1::inet, $2))::text as prefix, host(broadcast(set_masklen($1::inet, $2))) as last', [formatIp(ip), length])
      expect(row!.text).toBe(formatIp(ip))
      expect(parseIp(row!.text)).toEqual(ip)
      const cidr = parseCidr(row!.prefix)
      expect(cidr.length).toBe(length)
      expect(hostsOf({ ...cidr, length: ip.family === 4 ? 32 : 128 }).first).toMatchObject({ value: cidr.value })
    }), { numRuns: 200 })
  })
})
