/** What fuzzing found, each as the smallest case of it. */
import { describe, expect, it } from 'vitest'
import type { Answer, Wish } from '../../../plugins/dhcp/manifest.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { encode } from '../../../plugins/dhcp/v4/packet.ts'
import { Wishes } from '../../../plugins/dhcp/rack/wishes.ts'
import { createFuzzRack } from '../../fuzz/dhcp/rack.ts'
import { until } from '../../kit/wait.ts'
import { me, packetOf } from './build.ts'

describe('a relay option', () => {
  it('without end, joined of many parts, is refused: given back it left no room for the type of the reply', () => {
    const rack = createFuzzRack()
    expect(rack.receive(encode(packetOf({ type: 'DISCOVER', options: [[option.relay, Buffer.alloc(600)]] })))).toEqual([])
    expect(rack.counts.get('relay-long')).toBe(1)
  })
  it('of 255 bytes takes nothing from what the client gets, and is given back whole', async () => {
    const rack = createFuzzRack()
    const relay = Buffer.concat([Buffer.of(1, 253), Buffer.alloc(253, 7)])
    const ask = (options: readonly (readonly [number, Buffer])[]) => rack.exchange(packetOf({ type: 'DISCOVER', giaddr: '10.0.0.9', options: [[option.parameterList, Buffer.of(1, 3, 6, 28)], [option.clientId, Buffer.alloc(60, 1)], ...options] }))
    await ask([])
    await rack.pass(10)
    const [plain] = await ask([])
    const [reply] = await ask([[option.relay, relay]])
    expect(reply?.options.get(option.relay)).toEqual(relay)
    expect([...reply?.options.keys() ?? []].filter(code => code !== option.relay)).toEqual([...plain?.options.keys() ?? []])
  })
})

describe('two wishes for one address, one for a longer lease', () => {
  const wish = (seconds: number): Wish => ({ address: '10.0.0.100', subnet: 's1', client: me, clientId: null, hostname: null, seconds })
  const stored = (wishes: readonly Wish[]): Answer[] => wishes.map((): Answer => ({ stored: true, expires: '2030-01-01T00:00:00Z', number: '1', reason: null, quiet: false }))
  it.each([[120, 600], [600, 120]])('first %i seconds, then %i, before either has left: the longer is stored, and nobody hears of a lease longer than that', async (first, second) => {
    const batches: number[][] = []
    const wishes = new Wishes({ call: async wishes => { batches.push(wishes.map(({ seconds }) => seconds)); return stored(wishes) }, monotonic: () => 0 })
    const heard: number[] = []
    const ask = (seconds: number) => { wishes.ask(wish(seconds), () => { heard.push(seconds); expect(Math.max(...batches.flat())).toBeGreaterThanOrEqual(seconds) }) }
    ask(first)
    ask(second)
    await until(() => wishes.size === 0)
    expect([heard, batches]).toEqual([[second], [[600]]])
  })
  it.each([[120, 600], [600, 120]])('first %i seconds, then %i, while both wait for the call before: the longer is stored', async (first, second) => {
    const batches: number[][] = []
    const before = Promise.withResolvers<void>()
    const wishes = new Wishes({ call: async wishes => { batches.push(wishes.map(({ seconds }) => seconds)); await before.promise; return stored(wishes) }, monotonic: () => 0 })
    const heard: number[] = []
    wishes.ask({ ...wish(300), address: '10.0.0.101' }, () => {})
    await until(() => batches.length === 1)
    wishes.ask(wish(first), () => { heard.push(first) })
    wishes.ask(wish(second), () => { heard.push(second) })
    before.resolve()
    await until(() => wishes.size === 0)
    expect([heard, batches]).toEqual([[second], [[300], [600]]])
  })
  it('for the longer one while the shorter is under way: both are stored, and each hears of its own', async () => {
    const calls: { readonly seconds: number[], answer(): void }[] = []
    const wishes = new Wishes({ call: wishes => new Promise(resolve => { calls.push({ seconds: wishes.map(({ seconds }) => seconds), answer: () => { resolve(stored(wishes)) } }) }), monotonic: () => 0 })
    const heard: number[] = []
    for (const seconds of [120, 600]) {
      wishes.ask(wish(seconds), () => { heard.push(seconds) })
      await until(() => calls.length === 1)
    }
    calls[0]?.answer()
    await until(() => calls.length === 2)
    expect(heard).toEqual([120])
    calls[1]?.answer()
    await until(() => wishes.size === 0)
    expect([heard, calls.map(({ seconds }) => seconds)]).toEqual([[120, 600], [[120], [600]]])
  })
})

describe('a client that extends its lease without end while no region answers', () => {
  it('costs a line of the journal now and then, not one each time', async () => {
    const rack = createFuzzRack()
    await rack.lease(me, '10.0.0.120')
    rack.region = 'silent'
    for (let time = 0; time < 2000; time++) {
      const replies = rack.receive(packetOf({ type: 'REQUEST', mac: me, ciaddr: '10.0.0.120' }))
      await rack.pass(0) // what comes in one turn is decided together, after it
      await rack.pass(1)
      expect(replies.map(({ yiaddr }) => ipText(yiaddr))).toEqual(['10.0.0.120'])
      await rack.pass(300)
    }
    expect(rack.counts.get('alone by knowledge')).toBeLessThan(10) // in ten minutes, of leases of ten
    expect(rack.troubles()).toEqual([])
  })
})
