/** wol: wakes a machine by a magic packet in its network. Nothing answers: whether it starts is not seen, and nothing but a start can be asked for. */
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { defineDriver } from '../driver.ts'
import { macOf, magicPacket, passwordOf } from './wol/packet.ts'
import { broadcast, everywhere } from './wol/send.ts'

const schema = Type.Object({
  mac: Type.String({ minLength: 12, maxLength: 17, title: 'MAC address', description: 'Of the interface that listens while the machine is off.' }),
  broadcast: Type.Optional(Type.String({ format: 'ipv4', title: 'Broadcast address', description: 'Where the packet goes: a network\'s own broadcast address, like 10.0.0.255. Left out, it goes out of every interface of the rack.' })),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, title: 'UDP port', description: '9 when left out. Network cards do not look at it; firewalls and relays do.' })),
  password: Type.Optional(Type.String({ maxLength: 17, title: 'SecureOn password', description: 'Six bytes written like a MAC address, or four written like an IPv4 address.', writeOnly: true }))
}, { additionalProperties: false })

export const wol = defineDriver({
  name: 'wol',
  title: 'Wake-on-LAN',
  parameters: schema,
  actions: ['on'],
  queries: false,
  boots: false,

  normalise ({ mac, ...rest }) {
    if (rest.password !== undefined) passwordOf(rest.password)
    return { mac: macOf(mac), ...rest }
  },

  endpoint: ({ broadcast: host = everywhere, port = 9 }) => ({ by: 'broadcast', host, port }),

  async power ({ mac, broadcast: address = everywhere, port = 9, password }, action, { boot, signal }) {
    if (action !== 'on') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'wol', action: `${action}: a magic packet only wakes` })
    const from = await broadcast(magicPacket(mac, password), address, port, signal)
    return { state: 'unknown', note: `A magic packet for ${mac} was sent to ${address} from ${from.join(', ')}. Nothing tells whether the machine starts${boot === null ? '' : `, and nothing chooses that it boots from ${boot === 'network' ? 'the network' : 'its disk'}: its firmware must be set so`}.` }
  },

  async query () { return 'unknown' }
})
