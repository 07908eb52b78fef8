/** A flood of invented MACs against a small pool, packet by packet: machines that are known are served as if it were not there. */
import { describe, expect, it } from 'vitest'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { other, packetOf } from './build.ts'
import { createFuzzRack } from '../../fuzz/dhcp/rack.ts'

const invented = (number: number): string => `02:fa:${(0xfade0000 + number).toString(16).replace(/..(?!$)/g, '$&:')}`
const known = '52:54:00:00:00:aa'
const fixed = '52:54:00:00:00:bb'

describe('100,000 invented MACs against a /24', () => {
  it('asking only: a known machine and one with a fixed address get theirs in the midst of it, and half of the pool is never offered at once', async () => {
    const rack = createFuzzRack()
    await rack.lease(known, '10.0.0.120')
    rack.setAside(fixed, '10.0.0.20')
    for (let number = 0; number < 100_000; number++) {
      rack.receive(packetOf({ type: 'DISCOVER', mac: invented(number), secs: 60 }))
      if (number % 1000 === 0) await rack.pass(10)
      if (number === 50_000) {
        expect(await rack.boot(known)).toBe('10.0.0.120')
        expect(await rack.boot(fixed)).toBe('10.0.0.20')
      }
    }
    expect(rack.counts.get('starved')).toBeGreaterThan(90_000)
    expect(await rack.boot(known)).toBe('10.0.0.120')
    expect(await rack.extend(known, '10.0.0.120')).toBe('10.0.0.120')
    expect(rack.troubles()).toEqual([])
  })

  it('taking what is offered, or asking for addresses outright: nobody loses one', async () => {
    const rack = createFuzzRack()
    await rack.lease(known, '10.0.0.120')
    rack.setAside(fixed, '10.0.0.20')
    for (let number = 0; number < 20_000; number++) {
      const mac = invented(number)
      const offer = (await rack.exchange(packetOf({ type: 'DISCOVER', mac, secs: 60 })))[0]
      if (offer !== undefined) rack.receive(packetOf({ type: 'REQUEST', mac, server: '10.0.0.2', requested: ipText(offer.yiaddr) }))
      rack.receive(packetOf({ type: 'REQUEST', mac: invented(number + 50_000), ciaddr: ipText(0x0a000000 + 100 + number % 120) }))
      if (number % 100 === 0) await rack.pass(5)
    }
    expect(await rack.boot(known)).toBe('10.0.0.120')
    expect(await rack.boot(fixed)).toBe('10.0.0.20')
    expect(rack.troubles()).toEqual([])
  })

  it('for minutes: what was offered and not taken is offered again after ten seconds, and a new machine whose turn it is gets an address', async () => {
    const rack = createFuzzRack()
    for (let number = 0; number < 30_000; number++) {
      rack.receive(packetOf({ type: 'DISCOVER', mac: invented(number), secs: 60 }))
      if (number % 20 === 0) await rack.pass(20) // 1,000 a second, for half a minute: more than the pool holds by what is let in
    }
    expect(rack.counts.get('sent OFFER')).toBeGreaterThan(300)
    let address = 'no offer'
    for (let attempt = 0; attempt < 200 && address === 'no offer'; attempt++) { await rack.pass(50); address = await rack.boot('52:54:00:00:00:cc') }
    expect(address).toMatch(/^10\.0\.[01]\./)
    expect(rack.troubles()).toEqual([])
  })

  it('behind one port of a relay: a new machine behind the next port is served at once', async () => {
    const rack = createFuzzRack()
    const behind = (port: string) => ({ giaddr: '10.0.0.9', options: [[option.relay, Buffer.concat([Buffer.of(1, port.length), Buffer.from(port)])]] as const })
    for (let number = 0; number < 10_000; number++) {
      rack.receive(packetOf({ type: 'DISCOVER', mac: invented(number), ...behind('p1') }))
      if (number % 1000 === 0) await rack.pass(10)
    }
    expect((await rack.exchange(packetOf({ type: 'DISCOVER', mac: other, ...behind('p1') }))).length).toBe(0)
    expect((await rack.exchange(packetOf({ type: 'DISCOVER', mac: other, ...behind('p2') }))).length).toBe(1)
  })
})
