/** Blocks and bindings under contention: no address in two places, none given to two machines. Real PostgreSQL. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { macOf, openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnets = 0
beforeAll(async () => {
  region = await openRegion()
  await region.attach('a', { eth0: ['10.1.0.2/16'] })
  await region.attach('b', { eth0: ['10.1.0.3/16'] })
  await region.attach('c', { eth0: ['10.1.0.4/16'] })
})
afterAll(() => region.close())

/** A fresh little subnet of VLAN 1 that all three racks serve. */
async function fresh (size: number, more: object = {}): Promise<string> {
  const third = ++subnets
  const base = `10.1.${third}`
  const id = await region.subnet(`${base}.0/24`, [`${base}.100`, `${base}.${99 + size}`], { gateway: `${base}.1`, ...more })
  for (const [index, rack] of ['a', 'b', 'c'].entries()) await region.attach(rack, Object.fromEntries(Array.from({ length: third }, (_, n) => [`eth${n + 1}`, [`10.1.${n + 1}.${index + 2}/24`]])))
  const { status } = await region.call('PUT', '/dhcp/vlans/1', { enabled: true })
  expect(status).toBe(200)
  return id
}

describe('grants', () => {
  it('are disjoint when three racks ask many times at once, and stop when nothing is free', async () => {
    const subnet = await fresh(40)
    const granted = (await Promise.all(Array.from({ length: 30 }, (_, index) => region.grant(['a', 'b', 'c'][index % 3] ?? '', subnet)))).flat()
    expect(new Set(granted).size).toBe(granted.length)
    let more: string[]
    do { more = await region.grant('a', subnet); granted.push(...more) } while (more.length > 0)
    expect(new Set(granted).size).toBe(40)
    expect(granted.length).toBe(40)
  })
  it('leave the next rack something: each gets at most its share of what is free, and at most a block', async () => {
    const subnet = await fresh(12)
    expect((await region.grant('a', subnet)).length).toBe(4)
    expect((await region.grant('b', subnet)).length).toBe(2)
    const large = await fresh(90)
    expect((await region.grant('a', large)).length).toBe(8)
  })
  it('leave out what is in use by others, as a DNS server in the range', async () => {
    const third = subnets + 1
    const subnet = await fresh(3, { dnsServers: [`10.1.${third}.100`, `10.1.${third}.101`] })
    expect(await region.grant('a', subnet)).toEqual([`10.1.${third}.102`])
  })
  it('prefer addresses nobody had yet, and then take those that lapsed longest ago', async () => {
    const subnet = await fresh(6)
    const base = `10.1.${subnets}`
    await region.bind('a', { address: `${base}.100`, client: macOf(1), subnet }, { address: `${base}.101`, client: macOf(2), subnet })
    await region.db.query(`update dhcp.address set expires = now() - interval '1 hour' where host(address) = $1`, [`${base}.100`])
    await region.db.query(`update dhcp.address set expires = now() - interval '2 hours' where host(address) = $1`, [`${base}.101`])
    await region.changes()
    const order: string[] = []
    for (let more: string[]; (more = await region.grant('a', subnet)).length > 0;) order.push(...more)
    expect(order[0]).toBe(`${base}.102`)
    expect(order.map(address => Number(address.split('.')[3])).sort()).toEqual([100, 101, 102, 103, 104, 105])
    const changed = (await region.changes()).filter(({ topic }) => topic === 'dhcp.binding').map(({ id }) => id)
    expect(changed.sort()).toEqual([`${base}.100`, `${base}.101`]) // every rack forgets whose they were
  })
  it('are nothing for a rack that does not serve the VLAN', async () => {
    const subnet = await fresh(5)
    expect(await region.grant('stranger', subnet)).toEqual([])
    expect(await region.grant('a', '999999')).toEqual([])
  })
  it('return to the free when a rack serves no longer or the range is gone, at the next look', async () => {
    const subnet = await fresh(8)
    await region.grant('a', subnet)
    await region.grant('b', subnet)
    await region.call('PUT', '/dhcp/vlans/1', { enabled: true, racks: ['b'] })
    await region.running.reconcile!(new AbortController().signal)
    const owners = async () => (await region.db.query<{ rack: string }>('select distinct rack from dhcp.address where subnet_id = $1', [subnet])).map(({ rack }) => rack)
    expect(await owners()).toEqual(['b'])
    await region.call('PUT', '/dhcp/vlans/1', { enabled: false })
    await region.running.reconcile!(new AbortController().signal)
    expect(await owners()).toEqual([])
  })
})

describe('two racks and many clients at once', () => {
  it('never give one address to two clients, and keep every address in exactly one place', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.record({ rack: fc.constantFrom('a', 'b'), mac: fc.integer({ min: 1, max: 12 }), pick: fc.nat(30), act: fc.constantFrom('bind', 'bind', 'bind', 'grant', 'release', 'decline', 'lapse') }), { minLength: 20, maxLength: 60 }), fc.integer({ min: 2, max: 8 }), async (steps, width) => {
      const subnet = await fresh(16)
      const base = `10.1.${subnets}`
      const blocks: Record<string, string[]> = { a: [], b: [] }
      const holders = new Map<string, string>() // what the racks have acknowledged and nobody ended
      const run = async ({ rack, mac, pick, act }: (typeof steps)[number]): Promise<void> => {
        const address = blocks[rack]?.[pick % Math.max(1, blocks[rack]?.length ?? 1)] ?? `${base}.${100 + pick % 16}`
        if (act === 'grant') blocks[rack]?.push(...await region.grant(rack, subnet))
        else if (act === 'bind') {
          const [answer] = await region.bind(rack, { address, client: macOf(mac), subnet })
          if (!answer?.stored) return
          const holder = holders.get(address)
          expect(holder === undefined || holder === macOf(mac), `${address} of ${holder} was given to ${macOf(mac)} too`).toBe(true)
          holders.set(address, macOf(mac))
        } else if (act !== 'lapse') {
          const holder = holders.get(address)
          if (holder !== macOf(mac)) return
          holders.delete(address) // before the region hears of it
          await region.fact(rack, act === 'release' ? 'released' : 'declined', { address, subnet, client: holder })
        }
      }
      // Racks run at the same time; what is ended is not asked for again in the same round, as with one client at a time.
      for (let from = 0; from < steps.length; from += width) {
        const round = steps.slice(from, from + width)
        await Promise.all(round.filter(({ act }) => act === 'bind' || act === 'grant').map(run))
        for (const step of round.filter(({ act }) => act !== 'bind' && act !== 'grant')) await run(step)
      }
      const rows = await region.db.query<{ address: string, mac: string | null, rack: string | null, expires: Date | null }>('select host(address) as address, mac, rack, expires from dhcp.address where subnet_id = $1', [subnet])
      for (const [address, mac] of holders) expect(rows.find(row => row.address === address)).toMatchObject({ mac, rack: null })
    }), { numRuns: 15, seed: 20260101 })
  }, 60_000)

  it('a hundred wishes for one address end with one owner', async () => {
    const subnet = await fresh(1)
    const address = `10.1.${subnets}.100`
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => region.bind(index % 2 ? 'a' : 'b', { address, client: macOf(1000 + index), subnet })))
    expect(answers.flat().filter(({ stored }) => stored)).toHaveLength(1)
  })

  it('batches in opposite orders do not hang each other', async () => {
    const subnet = await fresh(20)
    const addresses = Array.from({ length: 20 }, (_, index) => `10.1.${subnets}.${100 + index}`)
    const batch = (rack: string, list: readonly string[], first: number) => region.bind(rack, ...list.map((address, index) => ({ address, client: macOf(first + index), subnet })))
    for (let round = 0; round < 10; round++) {
      const [one, two] = await Promise.all([batch('a', addresses, 2000), batch('b', addresses.toReversed(), 2000)])
      for (let index = 0; index < 20; index++) expect(one[index]?.stored || two[19 - index]?.stored).toBe(true)
    }
  })
})
