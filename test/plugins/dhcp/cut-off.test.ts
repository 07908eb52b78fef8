/** A rack without regions, end to end: the real rack half over a journal on disk and a cable that can be pulled, the real region half over PostgreSQL. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BedplateError } from '../../../core/errors.ts'
import { openRack } from './rack.kit.ts'
import type { RackKit } from './rack.kit.ts'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let rack: RackKit
let subnets = 0
let subnet: string
beforeAll(async () => { region = await openRegion({ reserveSize: 4 }) })
afterAll(() => region.close())

const mac = (number: number): string => `52:54:00:00:${subnets.toString(16).padStart(2, '0')}:${number.toString(16).padStart(2, '0')}`
const row = async (address: string) => (await region.db.query<Record<string, unknown>>('select mac, reserve_of, retiring, waits_for, expires > now() as alive from dhcp.address where address = $1::inet', [address]))[0]
const ready = () => rack.passes(() => rack.responder.status().knownFor > 0 && [...rack.responder.status().reserve.values()].some(left => left > 0))

beforeEach(async () => {
  // A fabric of its own for each test: what one leaves behind is not another's.
  subnets++
  const name = `rack-${subnets}`
  region.controllers.add(name)
  const { body: fabric } = await region.call('POST', '/network/fabrics', { name: `f${subnets}` })
  const vlan = (await region.network.vlans(region.db)).find(({ fabricId }) => fabricId === fabric.id)?.id ?? ''
  subnet = await region.subnet(`10.${subnets}.0.0/24`, [`10.${subnets}.0.100`, `10.${subnets}.0.149`], { vlanId: vlan })
  await region.attach(name, { eth1: [`10.${subnets}.0.2/24`] })
  await region.call('PUT', `/dhcp/vlans/${vlan}`, { enabled: true })
  rack = await openRack(region, name)
  await ready()
  rack.responder.refill()
  await rack.passes(() => rack.responder.memory.freeCount(subnet) > 0)
})
afterEach(() => rack.close())

describe('without a region', () => {
  it('a known lease is extended, a new client gets an address of the reserve, and all is in PostgreSQL when a region answers again', async () => {
    const known = await rack.join(mac(1))
    expect(known).toMatchObject({ type: 'ACK', seconds: 600 })
    rack.line = 'cut'
    expect(await rack.extend(mac(1), known?.address ?? '')).toEqual({ type: 'ACK', address: known?.address, seconds: 600 })
    const alone = await rack.join(mac(2))
    expect(alone).toMatchObject({ type: 'ACK', seconds: 600 })
    expect(await row(alone?.address ?? '')).toMatchObject({ mac: null, reserve_of: `rack-${subnets}` })
    expect(rack.responder.status()).toMatchObject({ undelivered: 2 })
    expect(rack.responder.problems()[0]).toMatch(/^No region answers since .* leases it knows are extended for another 59 min; addresses for new clients: 3 in subnet .*; leases not delivered: 2$/)
    rack.line = 'up'
    await rack.passes(() => rack.responder.status().undelivered === 0, 100)
    await rack.passes(async () => (await row(alone?.address ?? ''))?.reserve_of === null)
    expect(await row(alone?.address ?? '')).toMatchObject({ mac: mac(2), reserve_of: null, retiring: null, alive: true })
    expect((await region.wanted(`rack-${subnets}`)).filter(({ kind }) => kind === 'binding').map(({ id }) => id).sort()).toEqual([known?.address, alone?.address].sort())
    expect(rack.responder.problems()).toEqual([])
    expect(await rack.extend(mac(2), alone?.address ?? '')).toMatchObject({ type: 'ACK', address: alone?.address }) // by the region now
    await rack.passes(() => [...rack.responder.status().reserve.values()][0] === 4, 1000) // and the reserve is full again
  })

  it('a client that asks again gets the same, and no two get one', async () => {
    rack.line = 'cut'
    const all = new Map<string, string>()
    for (const number of [1, 2, 3, 4, 5]) {
      const lease = await rack.join(mac(number)) ?? await rack.join(mac(number)) // the first request tells the rack that it is cut off
      if (lease !== undefined) all.set(mac(number), lease.address)
    }
    expect(all.size).toBe(4)
    expect(new Set(all.values()).size).toBe(4)
    for (const [client, address] of all) expect(await rack.join(client)).toMatchObject({ type: 'ACK', address })
    expect(await rack.say({ type: 'DISCOVER', mac: mac(9) })).toBeUndefined()
  })

  it('starts again from its disk alone: known leases, its reserve, and whom it gave what', async () => {
    const known = await rack.join(mac(1))
    await rack.pull()
    rack.line = 'cut'
    await rack.say({ type: 'REQUEST', mac: mac(1), ciaddr: known?.address ?? '' })
    const alone = await rack.join(mac(2))
    await rack.crash()
    await rack.passes(() => rack.responder.status().since !== undefined)
    expect(await rack.extend(mac(1), known?.address ?? '')).toMatchObject({ type: 'ACK' })
    expect(await rack.join(mac(2))).toMatchObject({ type: 'ACK', address: alone?.address })
    expect((await rack.join(mac(3)))?.address).not.toBe(alone?.address)
    rack.line = 'up'
    await rack.passes(() => rack.responder.status().undelivered === 0, 100)
    expect(await row(alone?.address ?? '')).toMatchObject({ mac: mac(2), alive: true })
  })

  it('after a restart of the host nothing is given by knowledge until a region was heard, and the reserve goes on', async () => {
    const known = await rack.join(mac(1))
    await rack.pull()
    rack.line = 'cut'
    rack.bootId = 'boot 2'
    await rack.crash()
    await rack.passes(() => rack.responder.status().since !== undefined)
    expect(await rack.extend(mac(1), known?.address ?? '')).toBeUndefined()
    expect(await rack.join(mac(1))).toMatchObject({ type: 'ACK' }) // of the reserve
    expect((await rack.join(mac(1)))?.address).not.toBe(known?.address)
  })

  it('knowledge ends with T, a lease by it at T at the latest; the reserve does not end', async () => {
    const known = await rack.join(mac(1))
    rack.line = 'cut'
    await rack.clock.advance(3_000_000)
    const { knownFor } = rack.responder.status()
    const late = await rack.extend(mac(1), known?.address ?? '')
    expect(late?.seconds).toBe(Math.floor(knownFor / 1000))
    await rack.clock.advance(knownFor - 59_000)
    expect(await rack.extend(mac(1), known?.address ?? '')).toBeUndefined()
    await rack.clock.advance(10_000_000)
    expect(await rack.join(mac(2))).toMatchObject({ type: 'ACK', seconds: 600 })
  })

  it('nobody is told off for an address that may be another rack\'s to give', async () => {
    rack.line = 'cut'
    await rack.say({ type: 'REQUEST', mac: mac(1), ciaddr: `10.${subnets}.0.140` })
    expect(await rack.extend(mac(1), `10.${subnets}.0.140`)).toBeUndefined()
    expect(await rack.say({ type: 'REQUEST', mac: mac(1), requested: `10.${subnets}.0.140` })).toBeUndefined()
    expect(await rack.extend(mac(1), '10.99.0.140')).toMatchObject({ type: 'NAK' })
  })

  it('a binding stored whose answer was lost is promised by knowledge of what was told, or not at all', async () => {
    const offer = await rack.say({ type: 'DISCOVER', mac: mac(1) })
    rack.line = 'lost'
    expect(await rack.say({ type: 'REQUEST', mac: mac(1), requested: offer?.address ?? '', server: `10.${subnets}.0.2` })).toBeUndefined()
    expect(await row(offer?.address ?? '')).toMatchObject({ mac: mac(1), alive: true })
    await rack.pull()
    rack.line = 'cut'
    expect(await rack.extend(mac(1), offer?.address ?? '')).toMatchObject({ type: 'ACK' })
  })

  it('a journal whose delivery was carried out, and its answer lost, is delivered once; the address stays this rack\'s until it knows', async () => {
    rack.line = 'cut'
    const lease = await rack.join(mac(1)) ?? await rack.join(mac(1))
    rack.line = 'lost'
    await rack.passes(async () => (await row(lease?.address ?? ''))?.mac === mac(1), 100)
    expect(await row(lease?.address ?? '')).toMatchObject({ reserve_of: `rack-${subnets}` })
    expect((await region.bind('rack-a', { address: lease?.address ?? '', client: mac(1), subnet }))[0]).toMatchObject({ stored: false, quiet: true })
    expect((await region.wanted(`rack-${subnets}`)).filter(({ kind }) => kind === 'binding')).toEqual([])
    // Not told that it is delivered, it may give it to somebody else once the lease is over; that is delivered as well.
    await rack.clock.advance(700_000)
    rack.line = 'cut'
    for (const number of [2, 3, 4]) await rack.join(mac(number))
    const second = await rack.join(mac(5))
    expect(second).toMatchObject({ type: 'ACK', address: lease?.address })
    rack.line = 'up'
    await rack.passes(async () => (await row(lease?.address ?? ''))?.reserve_of === null, 100)
    expect(await row(lease?.address ?? '')).toMatchObject({ mac: mac(5), alive: true })
  })
})

describe('with regions', () => {
  it('a lapsed address changes hands once this rack has forgotten it, which it says at once', async () => {
    const lease = await rack.join(mac(1))
    await rack.pull()
    await region.db.query(`update dhcp.address set expires = now() - interval '1 minute' where address = $1::inet`, [lease?.address])
    const ask = () => region.bind('rack-a', { address: lease?.address ?? '', client: mac(2), subnet })
    expect((await ask())[0]?.stored).toBe(false)
    expect(await row(lease?.address ?? '')).toMatchObject({ waits_for: [`rack-${subnets}`] })
    await rack.pull()
    await rack.passes(async () => (await ask())[0]?.stored)
    rack.line = 'cut'
    await rack.extend(mac(1), lease?.address ?? '')
    expect(await rack.extend(mac(1), lease?.address ?? '')).toBeUndefined()
  })
  it('a rack that was given up acts on nothing it knows before its wanted state shows its new standing', async () => {
    const lease = await rack.join(mac(1))
    await rack.pull()
    rack.line = 'cut'
    await rack.quiet()
    await region.db.query(`update dhcp.rack set heard_at = now() - interval '2 hours', promised_until = now() - interval '1 hour' where rack = $1`, [`rack-${subnets}`])
    await region.call('DELETE', `/dhcp/bindings/${lease?.address}`)
    await region.keep()
    expect(await row(lease?.address ?? '')).toMatchObject({ waits_for: [] })
    rack.line = 'up'
    await rack.passes(() => rack.responder.status().knownFor === 0, 1000)
    rack.line = 'cut'
    await rack.extend(mac(1), lease?.address ?? '')
    expect(await rack.extend(mac(1), lease?.address ?? '')).toBeUndefined()
    rack.line = 'up'
    await rack.pull()
    await rack.passes(() => rack.responder.status().knownFor > 0, 1000)
  })
  it('a rack whose journal does not open gives nothing alone, leaves the clients to others for half a minute, and then serves again when a region answers', async () => {
    const poor = await openRack(region, `rack-${subnets}`, { journal: () => { throw new BedplateError('CONFLICT', { reason: 'The disk is broken.' }) } })
    try {
      expect(await poor.join(mac(8)) ?? await poor.join(mac(8))).toMatchObject({ type: 'ACK' })
      poor.line = 'cut'
      expect(await poor.join(mac(8))).toBeUndefined() // it offered, and found that nobody stores it
      for (let times = 0; times < 3; times++) expect(await poor.say({ type: 'DISCOVER', mac: mac(8) })).toBeUndefined() // no offer that a client would take, and never another rack's
      poor.line = 'up'
      expect(await poor.say({ type: 'DISCOVER', mac: mac(8) })).toBeUndefined()
      await poor.clock.advance(30_000)
      expect(await poor.join(mac(8))).toMatchObject({ type: 'ACK' })
    } finally { await poor.close() }
  })
  it('the reserve of a rack that was removed rests, once the rack was silent for so long that nothing it knew counts; that of one that is only silent stays', async () => {
    const name = `rack-${subnets}`
    const held = async () => (await region.db.query<{ kept: string, resting: string }>('select count(*) filter (where reserve_of = $1) as kept, count(*) filter (where quarantined_until > now()) as resting from dhcp.address where subnet_id = $2', [name, subnet]))[0]
    rack.line = 'cut'
    await rack.quiet()
    await region.db.query(`update dhcp.rack set heard_at = now() - interval '2 hours', promised_until = now() - interval '1 hour' where rack = $1`, [name])
    await region.keep()
    expect(await held()).toEqual({ kept: '4', resting: '0' })
    region.controllers.delete(name)
    await region.keep()
    expect(await held()).toEqual({ kept: '0', resting: '4' })
  })
  it('an address set aside is known to racks before they are cut off', async () => {
    const { address } = await region.db.tx(tx => region.network.allocate(tx, { subnetId: subnet, kind: 'auto', mac: mac(7), owner: 'm7', hostname: 'sure-fox' }))
    await region.keep()
    await rack.pull()
    rack.line = 'cut'
    await rack.join(mac(7))
    expect(await rack.join(mac(7))).toMatchObject({ type: 'ACK', address })
    expect(macOf(1)).not.toBe(mac(7))
  })
})
