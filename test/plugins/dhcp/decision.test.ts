/** Every message in every client state: RFC 2131 table 4 and section 4.3, as tables. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { messageType } from '../../../plugins/dhcp/options/codes.ts'
import type { MessageType } from '../../../plugins/dhcp/options/codes.ts'
import { u8 } from '../../../plugins/dhcp/options/values.ts'
import { me, now, other, packetOf, viewOf } from './build.ts'
import type { Known, Wire } from './build.ts'

/** The decision in a line: `offer 10.0.0.100`, `drop no-address`, `nak`. */
function shown (wire: Wire, known: Known = {}): string {
  const decision = decide(viewOf(known), packetOf(wire), now)
  if (decision.kind === 'drop') return `drop ${decision.reason}`
  if (decision.kind === 'nak') return `nak ${decision.reason}`
  if (decision.kind === 'inform') return `inform ${decision.subnet.id}`
  return `${decision.kind} ${ipText(decision.address)}`
}
type Row = readonly [name: string, expected: string, wire: Omit<Wire, 'type'>, known: Known]
const table = (type: MessageType, rows: readonly Row[]) => it.each(rows)('%s: %s', (_, expected, wire, known) => { expect(shown({ type, ...wire }, known)).toBe(expected) })

const free = ['10.0.0.100', '10.0.0.101', '10.0.0.102']
const mine = '10.0.0.2'
const wrong = 'nak this address is not of this network'
const notYours = 'nak this address is not yours'
const notOffered = 'nak this address was not offered'

describe('DISCOVER', () => {
  table('DISCOVER', [
    ['a stranger gets the first of the block', 'offer 10.0.0.100', {}, { free }],
    ['a wish within the block is granted', 'offer 10.0.0.102', { requested: '10.0.0.102' }, { free }],
    ['a wish outside the block is not', 'offer 10.0.0.100', { requested: '10.0.0.110' }, { free }],
    ['a wish of another network is not', 'offer 10.0.0.100', { requested: '192.168.1.5' }, { free }],
    ['an address set aside comes before all', 'offer 10.0.0.20', { requested: '10.0.0.102' }, { free, hosts: [[me, '10.0.0.20']], bindings: [[me, '10.0.0.105', 60]] }],
    ['and is not given to others', 'offer 10.0.0.101', {}, { free, hosts: [[other, '10.0.0.100']] }],
    ['but not while somebody else is bound to it', 'offer 10.0.0.100', {}, { free, hosts: [[me, '10.0.0.20']], bindings: [[other, '10.0.0.20', 60]] }],
    ['nor while it is in quarantine', 'offer 10.0.0.100', {}, { free, hosts: [[me, '10.0.0.20']], quarantined: ['10.0.0.20'] }],
    ['nor after the region refused it', 'offer 10.0.0.100', {}, { free, hosts: [[me, '10.0.0.20']], refused: [[me, '10.0.0.20']] }],
    ['though what was refused to another is no matter', 'offer 10.0.0.20', {}, { free, hosts: [[me, '10.0.0.20']], refused: [[other, '10.0.0.20']] }],
    ['one set aside in the second subnet is good too', 'offer 10.0.1.20', {}, { free, hosts: [[me, '10.0.1.20']] }],
    ['a binding in force is given again', 'offer 10.0.0.117', {}, { free, bindings: [[me, '10.0.0.117', 60]] }],
    ['a lapsed one too', 'offer 10.0.0.117', {}, { free, bindings: [[me, '10.0.0.117', -60]] }],
    ['of two the one that lasts longer', 'offer 10.0.0.118', {}, { free, bindings: [[me, '10.0.0.117', -60], [me, '10.0.0.118', 30]] }],
    ['a lapsed one of a former fixed address is not', 'offer 10.0.0.100', {}, { free, bindings: [[me, '10.0.0.30', -60]] }],
    ['a lapsed one that is offered to another is not', 'offer 10.0.0.100', {}, { free, bindings: [[me, '10.0.0.117', -60]], offers: [[other, '10.0.0.117']] }],
    ['asking again brings the same offer', 'offer 10.0.0.109', {}, { free, offers: [[me, '10.0.0.109']] }],
    ['what another was offered is passed over', 'offer 10.0.0.101', {}, { free, offers: [[other, '10.0.0.100']] }],
    ['what is in quarantine is passed over', 'offer 10.0.0.102', {}, { free, quarantined: ['10.0.0.100', '10.0.0.101'] }],
    ['what is bound is passed over', 'offer 10.0.0.101', {}, { free, bindings: [[other, '10.0.0.100', 60]] }],
    ['what left the range is passed over', 'offer 10.0.0.100', {}, { free: ['10.0.0.90', ...free] }],
    ['nothing is offered when nothing is free', 'drop no-address', {}, {}],
    ['through a relay of this segment', 'offer 10.0.0.100', { giaddr: '10.0.1.1' }, { free }],
    ['through a relay of another', 'drop foreign-relay', { giaddr: '172.16.0.1' }, { free }],
    ['the link a relay selects counts, not its address', 'drop foreign-relay', { giaddr: '10.0.0.9', options: [[82, Buffer.of(5, 4, 172, 16, 0, 1)]] }, { free }],
    ['a lower rank waits', 'drop not-my-turn', {}, { free, rank: 1 }],
    ['also for iPXE, which counts from 4', 'drop not-my-turn', { secs: 4 }, { free, rank: 1 }],
    ['until the client has waited', 'offer 10.0.0.100', { secs: 5 }, { free, rank: 1 }],
    ['or asked again', 'offer 10.0.0.100', {}, { free, rank: 1, asked: 2 }],
    ['the third rack waits longer', 'drop not-my-turn', { secs: 8 }, { free, rank: 2, asked: 2 }],
    ['but not for ever', 'offer 10.0.0.100', { secs: 9 }, { free, rank: 2 }]
  ])
})

describe('REQUEST, SELECTING', () => {
  table('REQUEST', [
    ['takes the offer', 'bind 10.0.0.105', { server: mine, requested: '10.0.0.105' }, { offers: [[me, '10.0.0.105']] }],
    ['takes one this rack forgot, from its own block', 'bind 10.0.0.101', { server: mine, requested: '10.0.0.101' }, { free }],
    ['takes the address set aside', 'bind 10.0.0.20', { server: mine, requested: '10.0.0.20' }, { hosts: [[me, '10.0.0.20']] }],
    ['takes what it had', 'bind 10.0.0.117', { server: mine, requested: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', -5]] }],
    ['takes what was offered to another', notOffered, { server: mine, requested: '10.0.0.105' }, { offers: [[other, '10.0.0.105']] }],
    ['takes what another holds', notOffered, { server: mine, requested: '10.0.0.100' }, { free, bindings: [[other, '10.0.0.100', 60]] }],
    ['takes what nobody offered', notOffered, { server: mine, requested: '10.0.0.110' }, { free }],
    ['takes what is in quarantine', notOffered, { server: mine, requested: '10.0.0.100' }, { free, quarantined: ['10.0.0.100'] }],
    ['takes an address of elsewhere', wrong, { server: mine, requested: '172.16.0.9' }, { free }],
    ['takes another server\'s offer', 'drop other-server', { server: '10.0.0.3', requested: '10.0.0.105' }, { free }],
    ['names no address', 'drop incomplete', { server: mine }, { free }],
    ['is answered by its server whatever its rank', 'bind 10.0.0.105', { server: mine, requested: '10.0.0.105' }, { rank: 3, offers: [[me, '10.0.0.105']] }]
  ])
})

describe('REQUEST, INIT-REBOOT', () => {
  table('REQUEST', [
    ['has its address still', 'bind 10.0.0.117', { requested: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', 60]] }],
    ['lapsed meanwhile, nobody took it', 'bind 10.0.0.117', { requested: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', -60]] }],
    ['has an address set aside now', notYours, { requested: '10.0.0.117' }, { hosts: [[me, '10.0.0.20']], bindings: [[me, '10.0.0.117', 60]] }],
    ['asks for the one set aside', 'bind 10.0.0.20', { requested: '10.0.0.20' }, { hosts: [[me, '10.0.0.20']] }],
    ['asks for another than it has', notYours, { requested: '10.0.0.110' }, { bindings: [[me, '10.0.0.117', 60]] }],
    ['comes from elsewhere', wrong, { requested: '192.168.7.7' }, {}],
    ['comes through a relay with an address of elsewhere', wrong, { requested: '192.168.7.7', giaddr: '10.0.0.9' }, {}],
    ['is unknown', 'drop unknown-client', { requested: '10.0.0.117' }, { free }],
    ['is unknown, and the address is another\'s', 'drop unknown-client', { requested: '10.0.0.117' }, { bindings: [[other, '10.0.0.117', 60]] }],
    ['a lower rank waits', 'drop not-my-turn', { requested: '10.0.0.117' }, { rank: 1, bindings: [[me, '10.0.0.117', 60]] }],
    ['until the client asks again', 'bind 10.0.0.117', { requested: '10.0.0.117' }, { rank: 1, asked: 2, bindings: [[me, '10.0.0.117', 60]] }],
    ['names nothing at all', 'drop incomplete', {}, {}]
  ])
})

describe('REQUEST, RENEWING and REBINDING', () => {
  table('REQUEST', [
    ['extends its lease', 'bind 10.0.0.117', { ciaddr: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', 60]] }],
    ['extends a fixed one', 'bind 10.0.0.20', { ciaddr: '10.0.0.20' }, { hosts: [[me, '10.0.0.20']] }],
    ['keeps a dynamic one while another is set aside for its next boot', 'bind 10.0.0.117', { ciaddr: '10.0.0.117' }, { hosts: [[me, '10.0.0.20']], bindings: [[me, '10.0.0.117', 60]] }],
    ['extends one made by another rack a moment ago: the region will tell', 'bind 10.0.0.117', { ciaddr: '10.0.0.117' }, {}],
    ['extends what another holds', notYours, { ciaddr: '10.0.0.117' }, { bindings: [[other, '10.0.0.117', 60]] }],
    ['extends what is set aside for another', notYours, { ciaddr: '10.0.0.117' }, { hosts: [[other, '10.0.0.117']] }],
    ['extends an address outside every range that nobody gave it', notYours, { ciaddr: '10.0.0.50' }, {}],
    ['extends an address of elsewhere', wrong, { ciaddr: '172.16.0.5' }, {}],
    ['every rank answers', 'bind 10.0.0.117', { ciaddr: '10.0.0.117' }, { rank: 2, bindings: [[me, '10.0.0.117', 60]] }]
  ])
})

describe('DECLINE, RELEASE, INFORM', () => {
  table('DECLINE', [
    ['from its owner', 'decline 10.0.0.117', { server: mine, requested: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', 60]] }],
    ['from somebody else', 'drop not-bound', { server: mine, requested: '10.0.0.117' }, { bindings: [[other, '10.0.0.117', 60]] }],
    ['to another server', 'drop other-server', { server: '10.0.0.3', requested: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', 60]] }],
    ['of nothing', 'drop not-bound', { server: mine }, {}]
  ])
  table('RELEASE', [
    ['from its owner', 'release 10.0.0.117', { server: mine, ciaddr: '10.0.0.117' }, { bindings: [[me, '10.0.0.117', 60]] }],
    ['from somebody else', 'drop not-bound', { server: mine, ciaddr: '10.0.0.117' }, { bindings: [[other, '10.0.0.117', 60]] }],
    ['of an address of elsewhere', 'drop not-bound', { server: mine, ciaddr: '172.16.0.5' }, {}]
  ])
  table('INFORM', [
    ['with an address of ours', 'inform s1', { ciaddr: '10.0.0.50' }, {}],
    ['in the second subnet', 'inform s2', { ciaddr: '10.0.1.50' }, {}],
    ['with one of elsewhere', 'drop incomplete', { ciaddr: '172.16.0.5' }, {}],
    ['without one', 'drop incomplete', {}, {}]
  ])
})

describe('what is no request of a client', () => {
  it.each<readonly [string, string, Wire]>([
    ['no message type', 'drop no-type', {}],
    ['an unknown message type', 'drop no-type', { options: [[53, u8(99)]] }],
    ['a message type of two bytes', 'drop no-type', { options: [[53, Buffer.of(1, 1)]] }],
    ['a reply', 'drop not-a-request', { type: 'OFFER', op: 2 }],
    ['an OFFER sent as a request', 'drop not-a-request', { type: 'OFFER' }],
    ['an ACK sent as a request', 'drop not-a-request', { type: 'ACK' }],
    ['no hardware address', 'drop hardware', { type: 'DISCOVER', mac: '' }],
    ['a hardware address of eight bytes', 'drop hardware', { type: 'DISCOVER', mac: '52:54:00:00:00:01:02:03' }],
    ['the hardware address of nobody', 'drop hardware', { type: 'DISCOVER', mac: '00:00:00:00:00:00' }],
    ['the hardware address of a group', 'drop hardware', { type: 'DISCOVER', mac: '01:00:5e:00:00:01' }]
  ])('%s: %s', (_, expected, wire) => { expect(shown(wire, { free })).toBe(expected) })
})

const address = fc.integer({ min: 95, max: 124 }).map(last => `10.0.0.${last}`)
const mac = fc.constantFrom(me, other, '52:54:00:00:00:03')
const known = fc.record({
  rank: fc.integer({ min: 0, max: 2 }), asked: fc.integer({ min: 1, max: 4 }),
  hosts: fc.uniqueArray(fc.tuple(mac, address), { selector: host => host[1], maxLength: 3 }),
  bindings: fc.uniqueArray(fc.tuple(mac, address, fc.integer({ min: -100, max: 100 })), { selector: binding => binding[1], maxLength: 5 }),
  offers: fc.uniqueArray(fc.tuple(mac, address), { selector: offer => offer[1], maxLength: 3 }),
  quarantined: fc.array(address, { maxLength: 3 }),
  free: fc.uniqueArray(address, { maxLength: 6 })
})
const wire = fc.record({
  type: fc.constantFrom(...Object.keys(messageType) as MessageType[]), mac, secs: fc.integer({ min: 0, max: 20 }),
  server: fc.constantFrom(mine, '10.0.0.3'), requested: fc.oneof(address, fc.constant('192.168.0.1')), ciaddr: fc.constantFrom('0.0.0.0', '10.0.0.100', '10.0.0.117', '172.16.0.1')
}, { requiredKeys: ['type', 'mac', 'secs'] })

describe('whatever is known and whatever comes', () => {
  it('nobody is offered or promised an address another has a claim on', () => {
    fc.assert(fc.property(known, wire, (known, wire) => {
      const view = viewOf(known)
      const decision = decide(view, packetOf(wire), now)
      if (decision.kind !== 'offer' && decision.kind !== 'bind') return
      const { address } = decision
      const binding = view.bindingAt(address)
      expect(binding === undefined || binding.client === wire.mac || binding.expires <= now).toBe(true)
      expect([undefined, wire.mac]).toContain(view.offeredTo(address))
      expect([undefined, wire.mac]).toContain(view.hostAt(address)?.client)
      expect(view.quarantined(address, wire.mac)).toBe(false)
    }), { numRuns: 5000, seed: 7 })
  })
  it('a stranger is offered only addresses of this rack\'s own block', () => {
    fc.assert(fc.property(known, wire, (known, wire) => {
      const view = viewOf(known)
      const decision = decide(view, packetOf({ ...wire, mac: '52:54:00:00:00:99', type: 'DISCOVER' }), now)
      if (decision.kind === 'offer') expect(view.free('s1')).toContain(decision.address)
    }), { numRuns: 2000, seed: 8 })
  })
  it('the same question has the same answer', () => {
    fc.assert(fc.property(known, wire, (known, wire) => {
      expect(decide(viewOf(known), packetOf(wire), now)).toEqual(decide(viewOf(known), packetOf(wire), now))
    }), { numRuns: 500, seed: 9 })
  })
})
