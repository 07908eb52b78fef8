/** An address that belongs to a client id: whoever sends the id has it, whatever its MAC, and nobody else. */
import { describe, expect, it } from 'vitest'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import type { WantedEntry } from '../../../plugins/dhcp/manifest.ts'
import { Memory } from '../../../plugins/dhcp/rack/memory.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { subnetsFor } from '../../../plugins/dhcp/v4/segment.ts'
import { me, now, other, packetOf, segmentWith } from './build.ts'
import type { Wire } from './build.ts'

const id = Buffer.from('01525400000001', 'hex')
const fixed: WantedEntry = { kind: 'host', id: '10.0.0.50', value: { subnet: 's1', client: `id:${id.toString('hex')}`, hostname: 'till' } }
const segment = segmentWith()
const known = (...put: WantedEntry[]): Memory => {
  const memory = new Memory()
  memory.apply([{ kind: 'block', id: 's1', value: { addresses: ['10.0.0.100', '10.0.0.101'] } }, ...put], [], true, now)
  return memory
}
const packet = (wire: Wire, sent: Buffer | undefined = id) => packetOf({ ...wire, options: sent === undefined ? [] : [[option.clientId, sent]] })
const decided = (memory: Memory, wire: Wire, sent?: Buffer) => {
  const request = packet(wire, sent)
  const decision = decide(memory.view(segment, now), request, now, subnetsFor(segment, request), memory.clientOf(request))
  return 'address' in decision ? { kind: decision.kind, address: ipText(decision.address), ...'hostname' in decision ? { hostname: decision.hostname } : {} } : decision
}

describe('a client whose id has an address', () => {
  it('is known by the id, anybody else by the MAC', () => {
    const memory = known(fixed)
    expect(memory.clientOf(packet({ type: 'DISCOVER' }))).toBe('id:01525400000001')
    expect(memory.clientOf(packet({ type: 'DISCOVER' }, Buffer.from('ffee', 'hex')))).toBe(me)
    expect(memory.clientOf(packetOf({ type: 'DISCOVER' }))).toBe(me)
    expect(known().clientOf(packet({ type: 'DISCOVER' }))).toBe(me)
  })
  it('is offered and given that address, by whatever interface it asks', () => {
    const memory = known(fixed)
    for (const mac of [me, other]) {
      expect(decided(memory, { type: 'DISCOVER', mac })).toEqual({ kind: 'offer', address: '10.0.0.50', hostname: 'till' })
      expect(decided(memory, { type: 'REQUEST', mac, server: '10.0.0.2', requested: '10.0.0.50' })).toEqual({ kind: 'bind', address: '10.0.0.50', hostname: 'till' })
      expect(decided(memory, { type: 'REQUEST', mac, ciaddr: '10.0.0.50' })).toMatchObject({ kind: 'bind', address: '10.0.0.50' })
    }
  })
  it('keeps it from everybody else, the same machine without its id among them', () => {
    const memory = known(fixed)
    const stranger = Buffer.from('ffee', 'hex')
    expect(decided(memory, { type: 'DISCOVER' }, stranger)).toMatchObject({ kind: 'offer', address: '10.0.0.100' })
    expect(decided(memory, { type: 'REQUEST', ciaddr: '10.0.0.50' }, stranger)).toMatchObject({ kind: 'nak' })
    expect(decided(memory, { type: 'REQUEST', server: '10.0.0.2', requested: '10.0.0.50' }, stranger)).toMatchObject({ kind: 'nak' })
  })
  it('loses the address with the entry, and is known by its MAC again', () => {
    const memory = known(fixed)
    memory.apply([], [{ kind: 'host', id: '10.0.0.50' }], false, now)
    expect(memory.clientOf(packet({ type: 'DISCOVER' }))).toBe(me)
    expect(decided(memory, { type: 'DISCOVER' })).toMatchObject({ kind: 'offer', address: '10.0.0.100' })
  })
  it('goes over from a lease it had by its MAC when it next asks', () => {
    const memory = known({ kind: 'binding', id: '10.0.0.101', value: { subnet: 's1', client: me, clientId: null, expires: new Date(now + 600_000).toISOString(), number: '7' } }, fixed)
    expect(decided(memory, { type: 'REQUEST', ciaddr: '10.0.0.101' })).toMatchObject({ kind: 'nak' })
    expect(decided(memory, { type: 'DISCOVER' })).toMatchObject({ address: '10.0.0.50' })
  })
})
