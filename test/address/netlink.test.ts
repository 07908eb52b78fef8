/** Messages of the routing socket: byte for byte as rtnetlink(7) lays them out, and read back from what the kernel sends. Little-endian hosts, as all we run on. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readFloating } from '../../core/vip/address.ts'
import type { FloatingAddress } from '../../core/address/address.ts'
import { addressesMessage, linksMessage, numbered, putMessage, readAnswer, removeMessage } from '../../core/address/netlink.ts'
import { openInterfaces } from '../../core/address/interface.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const of = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
const [four, six] = readFloating({ addresses: ['10.0.0.10/24', 'fd00::10/64'] }, ['region']) as [FloatingAddress, FloatingAddress]

describe('a question', () => {
  test('puts an address on for some seconds, alone in its network, unchecked, preferred for none', () => {
    expect(hex(putMessage(four, 3, 2))).toBe('44000000' + '1400' + '0505' + '00000000' + '00000000' + '02200000' + '03000000' +
      '08000200' + '0a00000a' + '08000100' + '0a00000a' + '08000800' + '02020000' + '14000600' + '00000000' + '02000000' + '0000000000000000')
    const vip = 'fd000000000000000000000000000010'
    expect(hex(putMessage(six, 3, 1))).toBe('5c000000' + '1400' + '0505' + '0000000000000000' + '0a800000' + '03000000' +
      '14000200' + vip + '14000100' + vip + '08000800' + '02020000' + '14000600' + '00000000' + '01000000' + '0000000000000000')
  })
  test('takes it off', () => {
    expect(hex(removeMessage(four, 3))).toBe('28000000' + '1500' + '0500' + '0000000000000000' + '02200000' + '03000000' + '08000200' + '0a00000a' + '08000100' + '0a00000a')
  })
  test('has a number', () => {
    expect(hex(numbered(linksMessage(), 7))).toBe('20000000' + '1200' + '0103' + '07000000' + '00000000' + '00'.repeat(16))
    expect(hex(addressesMessage())).toBe('18000000' + '1600' + '0103' + '0000000000000000' + '00'.repeat(8))
  })
})

describe('an answer', () => {
  const error = (errno: number, sequence: number) => of(`24000000 0200 0000 ${Buffer.from(Int32Array.of(sequence).buffer).toString('hex')} 00000000 ${Buffer.from(Int32Array.of(-errno).buffer).toString('hex')} ${'00'.repeat(16)}`)
  test('is done, or an errno', () => {
    expect(readAnswer(error(0, 7), 7).result).toBe(0)
    expect(readAnswer(error(1, 7), 7).result).toBe(1)
  })
  test('to another question is not ours', () => { expect(readAnswer(error(1, 6), 7)).toEqual({ links: [], addresses: [] }) })
  test('about an address tells whether it lasts', () => {
    const address = (valid: string) => of(`34000000 1400 0200 07000000 00000000 02200000 03000000 08000200 0a00000a 14000600 00000000 ${valid} 0000000000000000 14000000 0300 0000 07000000 00000000 00000000`)
    expect(readAnswer(address('ffffffff'), 7)).toEqual({ links: [], addresses: [{ link: 3, family: 4, bytes: Uint8Array.of(10, 0, 0, 10), prefix: 32, lasting: true }], result: 0 })
    expect(readAnswer(address('02000000'), 7).addresses[0]?.lasting).toBe(false)
  })
  test('is read from any bytes without a throw, and without an end', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(2, 3, 16, 20), fc.integer({ min: 0, max: 220 }), (data, type, length) => {
      if (data.length >= 16) { data.set([length, 0, 0, 0, type, 0], 0); data.set([7, 0, 0, 0], 8) }
      expect(readAnswer(data, 7).links.length).toBeLessThan(20)
    }), { numRuns: 1000, seed: 1 })
  })
})

describe('a list', () => {
  const done = (sequence: number, flags: number, errno = 0) => Uint8Array.from(Buffer.concat([of(`14000000 0300 ${flags.toString(16).padStart(2, '0')}00`), Buffer.from(Uint32Array.of(sequence, 0).buffer), Buffer.from(Int32Array.of(-errno).buffer)]))
  const address = (sequence: number, last: number, flags: number) => of(`20000000 1400 ${flags.toString(16).padStart(2, '0')}00 ${Buffer.from(Uint32Array.of(sequence).buffer).toString('hex')} 00000000 02200000 03000000 08000200 0a0000${last.toString(16).padStart(2, '0')}`)
  /** A kernel that answers the nth question with the nth of these, and from then on with the last. */
  const kernel = (...answers: ((sequence: number) => Uint8Array[])[]) => {
    const state = { asked: 0, answer: [] as Uint8Array[] }
    const open = () => openInterfaces(async () => ({
      send (question) { state.answer = answers[Math.min(state.asked++, answers.length - 1)]?.(new DataView(question.buffer, question.byteOffset).getUint32(8, true)) ?? [] },
      receive: () => state.answer.shift(), close () {}
    }))
    return { state, open }
  }
  test('that something came between is asked for again, and nothing of it is kept', async () => {
    const { state, open } = kernel(sequence => [address(sequence, 1, 0x12), done(sequence, 0x02)], sequence => [address(sequence, 2, 0x02), done(sequence, 0x12)], sequence => [address(sequence, 3, 0x02), done(sequence, 0x02)])
    expect((await open()).addresses().map(({ bytes }) => bytes.join('.'))).toEqual(['10.0.0.3'])
    expect(state.asked).toBe(3)
  })
  test('that is never whole is none: a sentence after four times', async () => {
    const { state, open } = kernel(sequence => [done(sequence, 0x12)])
    const interfaces = await open()
    expect(() => interfaces.links()).toThrow('the interfaces change faster than they can be read.')
    expect(state.asked).toBe(4)
  })
  test.each<readonly [string, (sequence: number) => Uint8Array]>([
    ['refused', sequence => Uint8Array.from(Buffer.concat([of('24000000 0200 0000'), Buffer.from(Uint32Array.of(sequence, 0).buffer), Buffer.from(Int32Array.of(-105).buffer), Buffer.alloc(16)]))],
    ['broken off', sequence => done(sequence, 0x02, 105)]
  ])('that is %s by the kernel is no short one', async (_, end) => {
    const interfaces = await kernel(sequence => [address(sequence, 1, 0x02), end(sequence)]).open()
    expect(() => interfaces.addresses()).toThrow('Reading the interfaces failed with ENOBUFS.')
  })
})

describe('the kernel of this host', () => {
  test('is not asked through a socket that is closed, whose number may be another file\'s', async () => {
    const first = await openInterfaces()
    first.close()
    const second = await openInterfaces() // has the same number
    try { expect(() => first.links()).toThrow('EBADF') } finally { second.close() }
  })
  test('tells its links and addresses', async () => {
    const interfaces = await openInterfaces()
    try {
      const lo = interfaces.links().find(({ name }) => name === 'lo')
      expect(lo).toMatchObject({ ethernet: false, up: true })
      expect(interfaces.addresses()).toContainEqual({ link: lo?.index, family: 4, bytes: Uint8Array.of(127, 0, 0, 1), prefix: 8, lasting: true })
    } finally { interfaces.close() }
  })
  test('refuses an interface that is not there, by a sentence', async () => {
    const interfaces = await openInterfaces()
    try {
      expect(() => { interfaces.put(four, 2 ** 30, 1) }).toThrow(/Putting 10\.0\.0\.10 on its interface (failed with ENODEV|needs a privilege)/)
      if (process.getuid?.() === 0) expect(() => { interfaces.remove(four, 2 ** 30) }).not.toThrow()
    } finally { interfaces.close(); interfaces.close() }
  })
})
