/** wol, as every driver is judged; its packet; and one broadcast that is heard. */
import { once } from 'node:events'
import { createSocket } from 'node:dgram'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../../core/clock.ts'
import { pace } from '../../../../plugins/power/driver.ts'
import { wol } from '../../../../plugins/power/drivers/wol.ts'
import { macOf, magicPacket, passwordOf } from '../../../../plugins/power/drivers/wol/packet.ts'
import { broadcast, sources } from '../../../../plugins/power/drivers/wol/send.ts'
import { createKept } from '../../../../plugins/power/kept.ts'
import { checked } from '../../../../plugins/power/parameters.ts'
import { powerDriverConformance } from '../../../kit/conformance/power-driver.ts'
import { until } from '../../../kit/wait.ts'

const loopback = '127.255.255.255' // loopback's own broadcast address: nothing leaves this machine
const mac = '52:54:00:12:34:56'

powerDriverConformance(wol, async () => ({ parameters: { mac, broadcast: loopback, password: '01:02:03:04:05:06' }, close: async () => {} }))

describe('the magic packet', () => {
  const unit = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(bytes => Uint8Array.of((bytes[0] ?? 0) & 0xfe, ...bytes.subarray(1))).filter(bytes => bytes.some(byte => byte !== 0))
  const written = (bytes: Uint8Array, between: string, every: number) => Buffer.from(bytes).toString('hex').match(new RegExp(`.{${every}}`, 'g'))?.join(between) ?? ''

  test('is six bytes 0xff and the address sixteen times, however the address is written', () => {
    fc.assert(fc.property(unit, fc.constantFrom([':', 2], ['-', 2], ['.', 4], ['', 2]), fc.boolean(), (bytes, [between, every], upper) => {
      const text = written(bytes, String(between), Number(every))
      expect(Buffer.from(magicPacket(upper ? text.toUpperCase() : text)).toString('hex')).toBe('ff'.repeat(6) + Buffer.from(bytes).toString('hex').repeat(16))
    }))
  })
  test('ends in the SecureOn password, six bytes or four', () => {
    expect(Buffer.from(magicPacket(mac, 'aa-bb-cc-dd-ee-ff').subarray(102)).toString('hex')).toBe('aabbccddeeff')
    expect([...magicPacket(mac, '192.168.1.255').subarray(102)]).toEqual([192, 168, 1, 255])
  })
  test.each(['', '52:54:00:12:34', '52:54-00:12:34:56', '52:54:00:12:34:5g', '01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '000000000000'])('%j is no address of one interface', text => {
    expect(() => macOf(text)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID' }))
  })
  test.each(['', 'hunter2', '1.2.3', '1.2.3.256', '01:02:03:04:05'])('%j is no SecureOn password, and is not repeated', text => {
    expect(() => passwordOf(text)).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.not.stringContaining(text === '' ? '\0' : text) }))
    expect(() => checked(wol, { mac, password: text })).toThrow('password')
  })
  test.each(['10.0.0', 'hunter2', '10.0.0.256'])('%j is no broadcast address', address => {
    expect(() => checked(wol, { mac, broadcast: address })).toThrow(expect.objectContaining({ code: 'POWER_PARAMETERS_INVALID', message: expect.stringContaining('broadcast') }))
  })
})

describe('wol', () => {
  const options = { signal: new AbortController().signal, clock: systemClock, pace, kept: createKept(), boot: null }
  const listener = async () => {
    const socket = createSocket('udp4')
    const heard: Buffer[] = []
    socket.on('message', data => { heard.push(data) })
    socket.bind(0, '0.0.0.0')
    await once(socket, 'listening')
    return { socket, heard, port: socket.address().port }
  }

  test('what it sends is heard by whoever listens for broadcasts, and the note says what nobody can know', async () => {
    const { socket, heard, port } = await listener()
    try {
      const message = once(socket, 'message')
      const { state, note } = await wol.power(checked(wol, { mac: mac.replaceAll(':', '-'), broadcast: loopback, port, password: '10.0.0.1' }), 'on', { ...options, boot: 'disk' })
      await message
      expect(heard[0]).toEqual(Buffer.from(magicPacket(mac, '10.0.0.1')))
      expect({ state, note }).toEqual({ state: 'unknown', note: `A magic packet for ${mac} was sent to ${loopback} from the address its route has. Nothing tells whether the machine starts, and nothing chooses that it boots from its disk: its firmware must be set so.` })
    } finally { socket.close() }
  })

  test('one address of each interface but loopback is sent from', () => {
    const info = (address: string, more: object = {}) => ({ address, netmask: '255.255.255.0', family: 'IPv4' as const, mac: '', internal: false, cidr: null, ...more })
    expect(sources({ lo: [info('127.0.0.1', { internal: true })], eth0: [info('10.0.0.1'), info('10.0.1.1')], eth1: [{ ...info('fe80::1'), family: 'IPv6', scopeid: 2 }, info('10.0.2.1')], eth2: [], eth3: undefined })).toEqual(['10.0.0.1', '10.0.2.1'])
  })

  test('where it cannot be sent, or the time is over, is an error worth another try', async () => {
    await expect(broadcast(new Uint8Array(70_000), loopback, 9, options.signal)).rejects.toMatchObject({ code: 'POWER_FAILED' })
    await expect(wol.power({ mac }, 'on', { ...options, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'POWER_FAILED' })
  })

  test.each([0, 1, 2])('after %i copies no further one leaves when the signal, asked, knows that it is over', async copies => {
    const { socket, heard, port } = await listener()
    const other = createSocket('udp4')
    try {
      const { signal } = new AbortController()
      let asked = 0
      Object.defineProperty(signal, 'aborted', { get: () => asked++ >= copies }) // it tells nobody: as after a pause of the process, before any timer fired
      await expect(wol.power({ mac, broadcast: loopback, port }, 'on', { ...options, signal })).rejects.toMatchObject({ code: 'POWER_FAILED', message: expect.stringContaining('the time for it was over') })
      other.send('last', port, '127.0.0.1')
      await until(() => heard.some(data => data.toString() === 'last'))
      expect(heard).toHaveLength(copies + 1)
    } finally { socket.close(); other.close() }
  })

  test('its network is known without asking', () => {
    expect(wol.endpoint?.({ mac })).toEqual({ by: 'broadcast', host: '255.255.255.255', port: 9 })
    expect(wol.endpoint?.({ mac, broadcast: '10.0.0.255', port: 7 })).toEqual({ by: 'broadcast', host: '10.0.0.255', port: 7 })
  })
})
