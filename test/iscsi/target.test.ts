/** The target over a real connection, PDU by PDU. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DiskError } from '../../iscsi/disk/disk.ts'
import { openFile } from '../../iscsi/disk/file.ts'
import { serve } from '../../iscsi/server.ts'
import type { TargetServer } from '../../iscsi/server.ts'
import type { Target } from '../../iscsi/target.ts'
import { scratch } from '../kit/scratch.ts'
import { until } from '../kit/wait.ts'
import { header, openInitiator } from './initiator.ts'
import type { Initiator } from './initiator.ts'

const disk = 'iqn.2026-01.org.example:disk'
const name = (who: string): string => `iqn.2026-01.org.example:${who}`
const directory = mkdtempSync(join(scratch(), 'bedplate-iscsi-'))
const path = join(directory, 'disk')
const blocks = 4096
let server: TargetServer
let port: number
const targets = (): Target[] => [{
  name: disk, alias: 'a disk', units: new Map([
    [1, { open: () => openFile(path, { readOnly: false }), shared: true, readOnly: false, blockLength: 512, serial: 'one', thin: true }],
    [2, { open: () => openFile(path, { readOnly: true }), shared: true, readOnly: true, blockLength: 512, serial: 'two', thin: false }]
  ])
}, { name: name('mine'), units: new Map(), initiators: [name('a')] }]

beforeAll(async () => {
  writeFileSync(path, '')
  truncateSync(path, blocks * 512)
  server = await serve({ portals: [{ host: '127.0.0.1', port: 0 }] })
  port = server.addresses[0]?.port ?? 0
  server.offer(targets())
})
afterAll(async () => { await server.close(); rmSync(directory, { recursive: true }) })

const on = async <T>(use: (initiator: Initiator) => Promise<T>, { keys = [], who = 'a', isid }: { keys?: [string, string][], who?: string, isid?: string } = {}): Promise<T> => {
  const initiator = await openInitiator(port)
  try {
    await initiator.login([['InitiatorName', name(who)], ['TargetName', disk], ...keys], isid)
    return await use(initiator)
  } finally { initiator.close() }
}
const write10 = (block: number, count: number): string => `2a00${block.toString(16).padStart(8, '0')}00${count.toString(16).padStart(4, '0')}00`
const read10 = (block: number, count: number): string => `28${write10(block, count).slice(2)}`
const pattern = (length: number, seed = 1): Buffer => Buffer.from(Array.from({ length }, (_, index) => (index * 31 + seed * 97 + (index >> 8)) & 255))

describe('what is written is read', () => {
  it.each<readonly [string, [string, string][], object]>([
    ['as immediate data', [], {}],
    ['when it is asked for', [['ImmediateData', 'No']], { immediate: 0 }],
    ['with a part at once', [['FirstBurstLength', '4096']], { immediate: 4096 }],
    ['in small bursts', [['ImmediateData', 'No'], ['MaxBurstLength', '2048'], ['MaxRecvDataSegmentLength', '1024']], { immediate: 0 }],
    ['one burst at a time', [['ImmediateData', 'No'], ['MaxBurstLength', '4096'], ['MaxOutstandingR2T', '1']], { immediate: 0 }],
    ['with digests', [['HeaderDigest', 'CRC32C'], ['DataDigest', 'CRC32C']], {}]
  ])('%s', (_, keys, more) => on(async initiator => {
    const data = pattern(32 * 512, keys.length)
    expect(await initiator.command(write10(8, 32), { write: data, ...more })).toMatchObject({ status: 0, residual: 0 })
    const read = await initiator.command(read10(8, 32), { read: 32 * 512 })
    expect(read.status).toBe(0)
    expect(read.data.equals(data)).toBe(true)
  }, { keys }))

  it('also when it comes without being asked for, after the command', () => on(async initiator => {
    const data = pattern(8192, 5)
    const itt = initiator.start(write10(64, 16), { write: data, immediate: 512, unsolicited: true })
    initiator.send(header(0x05, 0x00, { 16: itt, 20: 0xffffffff, 36: 0, 40: 512 }), data.subarray(512, 4096))
    initiator.send(header(0x05, 0x80, { 16: itt, 20: 0xffffffff, 36: 1, 40: 4096 }), data.subarray(4096))
    expect(await initiator.finish(itt)).toMatchObject({ status: 0 })
    expect((await initiator.command(read10(64, 16), { read: 8192 })).data.equals(data)).toBe(true)
  }, { keys: [['InitialR2T', 'No']] }))

  it('in sequences no longer than a burst, each ended as such', () => on(async initiator => {
    const itt = initiator.start(read10(0, 32), { read: 16_384 })
    const finals: boolean[] = []
    for (let done = false; !done;) {
      const one = await initiator.next()
      expect([one.opcode, one.header.readUInt32BE(16), one.data.length]).toEqual([0x25, itt, 1024])
      finals.push((one.flags & 0x80) !== 0)
      done = (one.flags & 1) !== 0
    }
    expect(finals.map((final, index) => final ? index + 1 : 0).filter(place => place > 0)).toEqual([4, 8, 12, 16])
  }, { keys: [['MaxBurstLength', '4096'], ['MaxRecvDataSegmentLength', '1024']] }))
})

describe('an answer says how much more or less there was than expected', () => {
  it.each([[1, 512, 512, 0], [1, 4096, 512, -3584], [2, 512, 512, 512]])('reading %s blocks into %s bytes', (count, expected, length, residual) => on(async initiator => {
    expect(await initiator.command(read10(0, count), { read: expected })).toMatchObject({ status: 0, residual, data: { length } })
  }))
  it('writing', () => on(async initiator => {
    expect(await initiator.command(write10(0, 1), { write: pattern(1024) })).toMatchObject({ status: 0, residual: -512 })
    expect(await initiator.command(write10(0, 2), { write: pattern(512) })).toMatchObject({ status: 0, residual: 512 })
  }))
})

describe('what is out of place is refused, and the session goes on', () => {
  const sound = async (initiator: Initiator) => { expect(await initiator.command('000000000000')).toMatchObject({ status: 0 }) }
  it.each<readonly [string, string, object, object]>([
    ['an unknown command', 'ff00000000000000', {}, { status: 2, sense: '5 2000' }],
    ['a block beyond the end', read10(blocks, 1), { read: 512 }, { status: 2, sense: '5 2100' }],
    ['more blocks than there are', read10(0, blocks + 1), { read: 512 }, { status: 2, sense: '5 2100' }],
    ['protection that is not there', '2820000000000000010000', { read: 512 }, { status: 2, sense: '5 2400' }],
    ['a LUN that is not there', '000000000000', { lun: 7 }, { status: 2, sense: '5 2500' }],
    ['writing to what is read-only', write10(0, 1), { write: pattern(512), lun: 2 }, { status: 2, sense: '7 2700' }],
    ['half a block to compare and write', '8900000000000000000000000001 0000', { write: pattern(512) }, { status: 2, sense: '5 2400' }],
    ['more at once than was agreed on', write10(0, 16), { write: pattern(8192), expected: 512 }, { status: 2, sense: 'b 0c0c' }]
  ])('%s', (_, cdb, more, expected) => on(async initiator => {
    expect(await initiator.command(cdb, more)).toMatchObject(expected)
    await sound(initiator)
  }))
  it.each<readonly [string, Readonly<Record<number, number>>]>([['a piece from elsewhere', { 40: 1024 }], ['a wrong number', { 36: 1 }], ['a tag nobody gave', { 20: 77 }]])('data with %s', (_, wrong) => on(async initiator => {
    const itt = initiator.start(write10(0, 16), { write: pattern(8192), immediate: 0 })
    const asked = await initiator.next()
    expect(asked.opcode).toBe(0x31)
    initiator.send(header(0x05, 0x80, { 16: itt, 20: asked.header.readUInt32BE(20), 36: 0, 40: 0, ...wrong }), pattern(8192))
    expect((await initiator.finish(itt)).sense).toMatch(/^b 0c0[cd]$/)
    await sound(initiator)
  }, { keys: [['ImmediateData', 'No']] }))
  it('a PDU that no target knows is rejected with its header', () => on(async initiator => {
    const strange = header(0x1c | 0x40, 0x80, { 16: 99 })
    initiator.send(strange)
    const reply = await initiator.next()
    expect([reply.opcode, reply.header[2]]).toEqual([0x3f, 0x05])
    expect(reply.data.subarray(0, 5)).toEqual(strange.subarray(0, 5))
    await sound(initiator)
  }))
  it('a data segment with a wrong digest is rejected, a header with one ends the connection', () => on(async initiator => {
    const nop = header(0x40, 0x80, { 16: 5, 20: 0xffffffff })
    nop.writeUIntBE(4, 5, 3)
    const { crc32c } = await import('../../iscsi/crc32c.ts')
    const sum = Buffer.alloc(4)
    sum.writeUInt32LE(crc32c(nop))
    initiator.socket.write(Buffer.concat([nop, sum, Buffer.from('abcd'), Buffer.from('0000')]))
    expect(await initiator.next()).toMatchObject({ opcode: 0x3f })
    initiator.socket.write(Buffer.concat([nop, Buffer.from('0000'), Buffer.from('abcd'), Buffer.from('0000')]))
    await initiator.ended
  }, { keys: [['HeaderDigest', 'CRC32C'], ['DataDigest', 'CRC32C']] }))
  it('a data segment longer than was agreed on ends the connection', () => on(async initiator => {
    const large = header(0x40, 0x80, { 16: 5 })
    large.writeUIntBE(0xffffff, 5, 3)
    initiator.socket.write(large)
    await initiator.ended
  }))
})

describe('commands are carried out in their order', () => {
  it('one that comes early waits for the one before it', () => on(async initiator => {
    const late = initiator.start(read10(0, 1), { read: 512, cmdSN: initiator.cmdSN + 1 })
    const first = initiator.start(write10(0, 1), { write: pattern(512, 9), cmdSN: initiator.cmdSN })
    expect(await initiator.finish(first)).toMatchObject({ status: 0 })
    expect((await initiator.finish(late)).data.equals(pattern(512, 9))).toBe(true)
  }))
  it.each([['before', -1], ['far beyond', 1000]])('one with a number %s those expected is passed over', (_, off) => on(async initiator => {
    initiator.start(read10(0, 1), { read: 512, cmdSN: initiator.cmdSN + off })
    expect(await initiator.command('000000000000')).toMatchObject({ status: 0 })
  }))
  it('numbers go round', async () => {
    const initiator = await openInitiator(port)
    initiator.cmdSN = 0xfffffffe
    await initiator.login([['InitiatorName', name('a')], ['TargetName', disk]])
    for (let round = 0; round < 5; round++) expect(await initiator.command('000000000000')).toMatchObject({ status: 0 })
    initiator.close()
  })
})

describe('sessions', () => {
  it('the same initiator port that logs in anew ends its old session; another one does not', async () => {
    const [old, other] = [await openInitiator(port), await openInitiator(port)]
    const keys: [string, string][] = [['InitiatorName', name('b')], ['TargetName', disk]]
    await old.login(keys)
    await other.login(keys, '400001370001')
    await on(async () => { await old.ended }, { who: 'b' })
    expect(await other.command('000000000000')).toMatchObject({ status: 0 })
    other.close()
  })
  it('discovery names what the initiator may log in to, and where', async () => {
    for (const [who, expected] of [['a', [disk, name('mine')]], ['b', [disk]]] as const) {
      const initiator = await openInitiator(port)
      await initiator.login([['InitiatorName', name(who)], ['SessionType', 'Discovery']])
      initiator.send(header(0x04, 0x80, { 16: 1, 20: 0xffffffff, 24: 1 }), Buffer.from('SendTargets=All\0'))
      const said = (await initiator.next()).data.toString().split('\0').filter(one => one !== '')
      expect(said.filter(one => one.startsWith('TargetName=')).map(one => one.slice(11))).toEqual(expected)
      expect(said[1]).toBe(`TargetAddress=127.0.0.1:${port},1`)
      initiator.close()
    }
  })
  it('a target for others is forbidden', async () => {
    const initiator = await openInitiator(port)
    await expect(initiator.login([['InitiatorName', name('b')], ['TargetName', name('mine')]])).rejects.toThrow('202')
    await initiator.ended
  })
  it('end with a logout, and with a target that is not offered any more', async () => {
    await on(async initiator => {
      initiator.send(header(0x46, 0x80, { 16: 3, 24: initiator.cmdSN }))
      expect(await initiator.next()).toMatchObject({ opcode: 0x26 })
      await initiator.ended
    })
    await on(async initiator => {
      server.offer(targets())
      await initiator.ended
    })
    expect(server.sessions).toBe(0)
  })
  it('an echo comes back, and what is no login before one ends the connection', async () => {
    await on(async initiator => {
      initiator.send(header(0x40, 0x80, { 16: 7, 20: 0xffffffff }), Buffer.from('hello'))
      expect(await initiator.next()).toMatchObject({ opcode: 0x20, data: Buffer.from('hello') })
    })
    const early = await openInitiator(port)
    early.send(header(0x40, 0x80, { 16: 7, 20: 0xffffffff }))
    await early.ended
  })
})

describe('a disk that is full when it is closed', () => {
  const full = (): Target => ({ name: disk, units: new Map([[1, { open: () => ({ ...openFile(path, { readOnly: false }), close () { throw new DiskError('ENOSPC: no space left on device') } }), shared: false, readOnly: false, blockLength: 512, serial: 'one', thin: false }]]) })
  it.each<readonly [string, (initiator: Initiator, server: TargetServer) => void]>([
    ['its initiator goes', initiator => { initiator.close() }],
    ['its target is offered no more', (_, server) => { server.offer([]) }]
  ])('is told in the log, and its session ends as any other does: %s', async (_, end) => {
    const told: unknown[] = []
    const own = await serve({ portals: [{ host: '127.0.0.1', port: 0 }], log: (level, { err }) => { if (level === 'warn') told.push(err) } })
    try {
      own.offer([full()])
      const initiator = await openInitiator(own.addresses[0]?.port ?? 0)
      await initiator.login([['InitiatorName', name('a')], ['TargetName', disk]])
      end(initiator, own)
      await initiator.ended
      await until(() => own.connections === 0, { what: 'the end of its connection' })
      expect(told).toEqual([new DiskError('ENOSPC: no space left on device')])
      expect(own.sessions).toBe(0)
    } finally { await own.close() }
  })
})

describe('tasks', () => {
  const manage = async (initiator: Initiator, what: number, task = 0xffffffff): Promise<number> => {
    const head = header(0x42, 0x80 | what, { 16: 0x5000, 20: task, 24: initiator.cmdSN })
    head[9] = 1
    initiator.send(head)
    for (;;) { const one = await initiator.next(); if (one.opcode === 0x22) return one.header[2] ?? -1 }
  }
  const keys: [string, string][] = [['ImmediateData', 'No']]
  it('a write that waits for its data can be queried and aborted, and is never answered', () => on(async initiator => {
    const itt = initiator.start(write10(0, 1), { write: pattern(512), immediate: 0 })
    expect((await initiator.next()).opcode).toBe(0x31)
    expect(await manage(initiator, 9, itt)).toBe(7)
    expect(await manage(initiator, 1, itt)).toBe(0)
    expect(await manage(initiator, 1, itt)).toBe(1)
    expect(await initiator.command('000000000000')).toMatchObject({ status: 0 })
  }, { keys }))
  it('a reset of the unit drops them, ends an old reservation, and is told to all', () => on(initiator => on(async second => {
    expect(await initiator.command('160000000000')).toMatchObject({ status: 0 })
    expect(await second.command('000000000000')).toMatchObject({ status: 0x18 })
    initiator.start(write10(0, 1), { write: pattern(512), immediate: 0 })
    expect((await initiator.next()).opcode).toBe(0x31)
    expect(await manage(second, 5)).toBe(0)
    for (const one of [initiator, second]) {
      expect(await one.command('000000000000')).toMatchObject({ status: 2, sense: '6 2903' })
      expect(await one.command('000000000000')).toMatchObject({ status: 0 })
    }
  }, { who: 'b' }), { keys }))
})

// What the fuzzer found: a VERIFY of many blocks against one that was never sent went round for ever.
it('a VERIFY without the data it needs is refused, and one with a part is held against that part', () => on(async initiator => {
  expect(await initiator.command(write10(0, 2), { write: Buffer.concat([pattern(512, 3), pattern(512, 4)]) })).toMatchObject({ status: 0 })
  expect(await initiator.command('2f060000000000000200')).toMatchObject({ status: 2, sense: '5 2400' })
  expect(await initiator.command('2f020000000000000200', { write: pattern(512, 3) })).toMatchObject({ status: 0, residual: 512 })
  expect(await initiator.command('2f020000000000000200')).toMatchObject({ status: 0 })
}))
