/** What a relay is told that asks who has an address (RFC 4388). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '../../../plugins/dhcp/v4/decision.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { answerLeaseQuery } from '../../../plugins/dhcp/v4/leasequery.ts'
import { option } from '../../../plugins/dhcp/options/codes.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import { me, now, other, packetOf, viewOf } from './build.ts'
import type { Wire } from './build.ts'

const view = viewOf({ bindings: [[me, '10.0.0.100', 300], [me, '10.0.0.101', 500], [other, '10.0.0.102', -5], ['52:54:00:00:00:03', '10.9.0.1', 500]], hosts: [['id:ff0102', '10.0.0.100']] })
const ask = (wire: Wire) => {
  const answer = answerLeaseQuery(view, packetOf({ type: 'LEASEQUERY', giaddr: '10.0.0.9', mac: '', ...wire }), now)
  if (answer === undefined) return undefined
  const { type, reply } = answer
  const number = (code: number) => reply.options.get(code)?.readUInt32BE(0)
  return { type, address: ipText(reply.ciaddr), mac: reply.mac, lease: number(51), t1: number(58), t2: number(59), all: reply.options.get(92)?.toString('hex') }
}

describe('a query', () => {
  it('by address: who has it, for how long, and what is left of T1 and T2', () => {
    expect(ask({ ciaddr: '10.0.0.101' })).toEqual({ type: 'LEASEACTIVE', address: '10.0.0.101', mac: me, lease: 500, t1: 200, t2: 425, all: undefined })
    expect(ask({ ciaddr: '10.0.0.100' })).toMatchObject({ lease: 300, t1: undefined, t2: 225 })
  })
  it('by address: nobody has it, or it is not one of here', () => {
    expect(ask({ ciaddr: '10.0.0.102' })?.type).toBe('LEASEUNASSIGNED')
    expect(ask({ ciaddr: '10.0.0.119' })?.type).toBe('LEASEUNASSIGNED')
    expect(ask({ ciaddr: '10.7.0.1' })?.type).toBe('LEASEUNKNOWN')
  })
  it('by MAC: the latest of its addresses, and all of them', () => {
    expect(ask({ mac: me })).toMatchObject({ type: 'LEASEACTIVE', address: '10.0.0.101', all: '0a0000650a000064' })
    expect(ask({ mac: other })).toEqual({ type: 'LEASEUNKNOWN', address: '0.0.0.0', mac: other, lease: undefined, t1: undefined, t2: undefined, all: undefined })
    expect(ask({ mac: '52:54:00:00:00:03' })?.type).toBe('LEASEUNKNOWN')
    expect(ask({ mac: '00:00:00:00:00:00' })?.type).toBe('LEASEUNKNOWN')
  })
  it('by client id: one that is made of a MAC, or that an address is set aside for', () => {
    expect(ask({ options: [[option.clientId, Buffer.from(`01${me.replaceAll(':', '')}`, 'hex')]] })).toMatchObject({ type: 'LEASEACTIVE', address: '10.0.0.101', mac: me })
    expect(ask({ options: [[option.clientId, Buffer.of(0xff, 1, 2)]] })).toMatchObject({ type: 'LEASEACTIVE', address: '10.0.0.100' })
    expect(ask({ options: [[option.clientId, Buffer.of(0xff, 9, 9)]] })?.type).toBe('LEASEUNKNOWN')
  })
  it('only what is asked for is told', () => {
    expect(ask({ ciaddr: '10.0.0.101', options: [[option.parameterList, Buffer.of(51)]] })).toMatchObject({ lease: 500, t1: undefined, t2: undefined })
  })
  it('is answered only to relays of this segment', () => {
    expect(ask({ ciaddr: '10.0.0.101', giaddr: '0.0.0.0' })).toBeUndefined()
    expect(ask({ ciaddr: '10.0.0.101', giaddr: '10.7.0.9' })).toBeUndefined()
    expect(ask({ ciaddr: '10.0.0.101', op: 2 })).toBeUndefined()
  })
  it('gives the relay its option and the exchange back', () => {
    const query = packetOf({ type: 'LEASEQUERY', giaddr: '10.0.0.9', mac: '', ciaddr: '10.0.0.101', options: [[option.relay, Buffer.of(1, 1, 9)]] })
    const { reply } = answerLeaseQuery(view, query, now)!
    expect(decode(encode(reply))).toMatchObject({ op: 2, xid: query.xid, giaddr: query.giaddr, mac: me })
    expect(reply.options.get(option.relay)?.toString('hex')).toBe('010109')
    expect(reply.options.get(option.messageType)?.[0]).toBe(13)
  })
  it('is none of the decisions about addresses', () => { expect(decide(view, packetOf({ type: 'LEASEQUERY', giaddr: '10.0.0.9' }), now)).toEqual({ kind: 'drop', reason: 'not-a-request' }) })
  it('property: whatever it holds, it is answered or not, and the answer is a packet', () => {
    const address = fc.constantFrom('0.0.0.0', '10.0.0.100', '10.0.0.101', '10.0.0.9', '10.7.0.1', '255.255.255.255')
    fc.assert(fc.property(address, address, fc.constantFrom('', me, other, '01:02', '00:00:00:00:00:00'), fc.option(fc.uint8Array({ maxLength: 20 })), fc.option(fc.uint8Array({ maxLength: 20 })), (ciaddr, giaddr, mac, id, list) => {
      const answer = answerLeaseQuery(view, packetOf({ type: 'LEASEQUERY', ciaddr, giaddr, mac, options: [...id === null ? [] : [[option.clientId, Buffer.from(id)] as const], ...list === null ? [] : [[option.parameterList, Buffer.from(list)] as const]] }), now)
      if (answer !== undefined) decode(encode(answer.reply, 548))
    }), { numRuns: 500, seed: 41 })
  })
})
