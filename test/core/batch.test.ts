/** Batches over a system that stands in for the kernel: it reads the structures as the kernel does, and refuses what it is told to. */
import { describe, expect, it } from 'vitest'
import { createBatch } from '../../core/batch.ts'
import type { Batch, Calls } from '../../core/batch.ts'

interface Message { readonly to: string, readonly data: string[], readonly segment: number | undefined }
const again = 11
type Verdict = (message: Message) => number | undefined

/** `verdict`: the errno by which a message is refused. `atMost`: messages one call sends. */
async function rig (verdict: Verdict = () => undefined, { atMost = 64, segments = true } = {}) {
  let top = 0x10000n
  const blocks: { readonly address: bigint, readonly bytes: Buffer, freed: boolean }[] = []
  const at = (address: bigint, length: number): Buffer => {
    const block = blocks.find(one => address >= one.address && address + BigInt(length) <= one.address + BigInt(one.bytes.length))
    if (block === undefined || block.freed) throw new TypeError(`${length} bytes at ${address} belong to nobody`)
    return block.bytes.subarray(Number(address - block.address), Number(address - block.address) + length)
  }
  const read = (address: bigint): Message => {
    const header = at(address, 64)
    const name = at(header.readBigUInt64LE(0), header.readUInt32LE(8))
    expect(name.length).toBe(16)
    expect(name.readUInt16LE(0)).toBe(2)
    const parts = Array.from({ length: Number(header.readBigUInt64LE(24)) }, (_, index) => {
      const vector = at(header.readBigUInt64LE(16) + BigInt(index * 16), 16)
      return at(vector.readBigUInt64LE(0), Number(vector.readBigUInt64LE(8)))
    })
    const whole = Buffer.concat(parts)
    expect(whole.length).toBeLessThanOrEqual(65_507)
    const room = Number(header.readBigUInt64LE(40))
    let segment: number | undefined
    if (room > 0) {
      const from = header.readBigUInt64LE(32)
      expect(from % 8n).toBe(0n)
      const control = at(from, room)
      expect([Number(control.readBigUInt64LE(0)), control.readUInt32LE(8), control.readUInt32LE(12), room]).toEqual([18, 17, 103, 24]) // CMSG_LEN(2), SOL_UDP, UDP_SEGMENT, CMSG_SPACE(2)
      segment = control.readUInt16LE(16)
    } else expect(header.readBigUInt64LE(32)).toBe(0n)
    // As the kernel cuts it up.
    const data = segment === undefined ? [whole.toString()] : Array.from({ length: Math.ceil(whole.length / segment) }, (_, index) => whole.subarray(index * (segment ?? 0), (index + 1) * (segment ?? 0)).toString())
    expect(data.length).toBeLessThanOrEqual(64)
    return { to: `${[...name.subarray(4, 8)].join('.')}:${name.readUInt16BE(2)}`, data, segment }
  }
  let failure = 0
  const calls: Message[][] = []
  const refused: number[] = []
  const system: Calls = {
    recvmmsg: () => -1,
    sendmmsg (_, messages, count) {
      const sent: Message[] = []
      for (let index = 0; index < Math.min(count, atMost); index++) {
        const message = read(messages + BigInt(index * 64))
        const errno = verdict(message)
        if (errno !== undefined) {
          if (sent.length > 0) break
          failure = errno
          refused.push(message.data.length)
          return -1
        }
        sent.push(message)
      }
      calls.push(sent)
      return sent.length
    },
    segments: () => segments,
    errno: () => failure,
    memory (size) {
      const block = { address: top, bytes: Buffer.alloc(size, 0xee), freed: false }
      top += BigInt(Math.ceil(size / 16) * 16 + 64)
      blocks.push(block)
      return { address: block.address, bytes: block.bytes, free: () => { block.freed = true } }
    }
  }
  const lost: number[] = []
  const later: string[] = []
  const on = { lost: (): void => {}, later: (): void => {} }
  const batch = await createBatch(3, {
    lost: errno => { lost.push(errno); on.lost() },
    later: (data, port, address) => { later.push(`${address}:${port} ${String(data)}`); on.later() }
  }, system) as Batch
  return {
    batch, calls, lost, later, refused, blocks, on,
    /** Sends texts, to a relay unless they name another, as one batch. */
    async send (texts: readonly string[], to = '192.0.2.1', port = 67) { for (const text of texts) expect(batch.send(Buffer.from(text), port, to)).toBe(true); await undefined },
    out: () => calls.flat().flatMap(({ to, data }) => data.map(one => `${to} ${one}`)),
    trains: () => calls.flat().map(({ data }) => data.length)
  }
}
const words = (count: number, from = 0): string[] => Array.from({ length: count }, (_, index) => `reply ${String(index + from).padStart(4, '0')}`)
const sentTo = (texts: readonly string[], to = '192.0.2.1:67') => texts.map(text => `${to} ${text}`)

describe('a batch', () => {
  it('sends what follows each other to one place in one length as one train, each whole and in order', async () => {
    const r = await rig()
    await r.send([...words(5), 'short', ...words(3, 5)])
    expect(r.trains()).toEqual([5, 1, 3])
    expect(r.out()).toEqual(sentTo([...words(5), 'short', ...words(3, 5)]))
    await r.send(words(2), '192.0.2.9', 68)
    expect(r.calls.at(-1)).toEqual([{ to: '192.0.2.9:68', data: words(2), segment: 10 }])
  })
  it('is full after 64, and the next begins', async () => {
    const r = await rig()
    await r.send(words(150))
    expect(r.trains()).toEqual([64, 64, 22])
    expect(r.out()).toEqual(sentTo(words(150)))
  })
  it('keeps a train of long ones within one packet', async () => {
    const r = await rig()
    const texts = Array.from({ length: 64 }, (_, index) => String(index).padStart(1400, '.'))
    await r.send(texts)
    expect(r.trains()).toEqual([46, 18])
    expect(r.out()).toEqual(sentTo(texts))
  })
  it('makes no trains of empty datagrams, of broadcasts, or where the kernel knows none', async () => {
    const r = await rig()
    await r.send(['', '', ''])
    await r.send(words(3), '255.255.255.255', 68)
    expect(r.trains()).toEqual([1, 1, 1, 1, 1, 1])
    const old = await rig(undefined, { segments: false })
    await old.send(words(3))
    expect(old.calls.flat().map(({ segment }) => segment)).toEqual([undefined, undefined, undefined])
  })
  it('goes on where a call left off, in trains and between them', async () => {
    const r = await rig(undefined, { atMost: 1 })
    await r.send([...words(4), 'short', ...words(4, 4)])
    expect(r.calls.map(({ length }) => length)).toEqual([1, 1, 1])
    expect(r.out()).toEqual(sentTo([...words(4), 'short', ...words(4, 4)]))
  })
  it('leaves the address behind that is none, and what is too long, to the plain way', async () => {
    const r = await rig()
    for (const address of ['', 'localhost', '192.0.2', '192.0.2.256', '192.0..1', '::1']) expect(r.batch.send(Buffer.from('x'), 67, address)).toBe(false)
    expect(r.batch.send(Buffer.alloc(1537), 67, '192.0.2.1')).toBe(false)
  })
})

describe('a train that is refused', () => {
  it.each([['EIO', 5], ['EOPNOTSUPP', 95], ['ENOPROTOOPT', 92]])('by %s goes one by one, none lost or doubled, and there is no other', async (_, errno) => {
    const r = await rig(({ data }) => data.length > 1 ? errno : undefined)
    await r.send([...words(4), 'short', ...words(4, 4)])
    await r.send(words(4, 8))
    expect(r.refused).toEqual([4])
    expect(r.out()).toEqual(sentTo([...words(4), 'short', ...words(8, 4)]))
    expect([r.lost, r.later]).toEqual([[], []])
  })
  it.each([['EMSGSIZE', 90], ['EINVAL', 22]])('by %s for its length goes one by one, and shorter ones go on in trains', async (_, errno) => {
    const r = await rig(({ data, segment }) => data.length > 1 && (segment ?? 0) > 1000 ? errno : undefined)
    const long = ['a', 'b', 'c'].map(text => text.padStart(1001, '.'))
    await r.send(long)
    await r.send([...words(3), ...long])
    expect(r.refused).toEqual([3])
    expect(r.trains()).toEqual([1, 1, 1, 3, 1, 1, 1])
    expect(r.out()).toEqual(sentTo([...long, ...words(3), ...long]))
  })
  it.each([['EPERM', 1], ['ENETUNREACH', 101], ['EHOSTUNREACH', 113], ['EINVAL', 22]])('because of its target (%s) is lost, each of its datagrams told of, and others still go in trains', async (_, errno) => {
    const r = await rig(({ to }) => to.startsWith('192.0.2.66') ? errno : undefined)
    await r.send(words(2), '192.0.2.66')
    await r.send(words(3))
    expect(r.lost).toEqual([errno, errno])
    expect(r.trains()).toEqual([3])
  })
  it('by what has passed when its datagrams go one by one says nothing about others', async () => {
    let down = true
    const r = await rig(() => { const errno = down ? 1 : undefined; down = false; return errno })
    await r.send(words(3))
    await r.send(words(3, 3))
    expect(r.trains()).toEqual([1, 1, 1, 3])
    expect(r.lost).toEqual([])
  })
  it('in the middle of a batch does not hold up or double those around it', async () => {
    const r = await rig(({ to, data }) => to.startsWith('192.0.2.2') && data.length > 1 ? 90 : undefined)
    for (const [index, address] of ['192.0.2.1', '192.0.2.2', '192.0.2.3'].entries()) for (const text of words(3, index * 3)) r.batch.send(Buffer.from(text), 67, address)
    await undefined
    expect(r.out()).toEqual([...sentTo(words(3)), ...sentTo(words(3, 3), '192.0.2.2:67'), ...sentTo(words(3, 6), '192.0.2.3:67')])
  })
})

describe('no room in the kernel', () => {
  it.each([['EAGAIN', again], ['ENOBUFS', 105]])('(%s) leaves the rest to the plain way, each once', async (_, errno) => {
    let room = 2
    const r = await rig(() => room-- > 0 ? undefined : errno)
    await r.send([...words(3), 'short', ...words(2, 3)])
    expect(r.out()).toEqual(sentTo([...words(3), 'short']))
    expect(r.later).toEqual(sentTo(words(2, 3)))
    expect(r.lost).toEqual([])
    room = 100
    await r.send(words(3))
    expect(r.trains().at(-1)).toBe(3)
  })
  it('among the datagrams of a refused train leaves those that are left to the plain way', async () => {
    let room = 3
    const r = await rig(({ data }) => data.length > 1 ? 90 : room-- > 0 ? undefined : again)
    await r.send(words(5))
    expect(r.out()).toEqual(sentTo(words(3)))
    expect(r.later).toEqual(sentTo(words(2, 3)))
  })
})

it('an event that sends goes the plain way, and one that closes ends it: nothing is read that was let go of', async () => {
  const r = await rig(() => 1)
  let took: boolean | undefined
  r.on.lost = () => { took ??= r.batch.send(Buffer.from('of the event'), 67, '192.0.2.1'); r.batch.close() }
  await r.send(words(3))
  expect(took).toBe(false)
  expect(r.lost).toEqual([1])
  expect(r.blocks.every(({ freed }) => freed)).toBe(true)
  expect(r.batch.send(Buffer.from('too late'), 67, '192.0.2.1')).toBe(false)
})
it('what is in it leaves when it is closed', async () => {
  const r = await rig()
  r.batch.send(Buffer.from('the last'), 67, '192.0.2.1')
  r.batch.close()
  await undefined
  expect(r.out()).toEqual(['192.0.2.1:67 the last'])
})
