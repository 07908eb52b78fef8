/** The transfer machine: what is sent when, under loss, repetition, reordering and silence. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTransfer } from '../../../plugins/boot/tftp/transfer.ts'
import type { Step, TransferOptions } from '../../../plugins/boot/tftp/transfer.ts'

const transfer = (options: Partial<TransferOptions> = {}) => createTransfer({ size: 512 * 10 + 5, blockSize: 512, windowSize: 1, oack: false, ...options })
const blocks = (from: number, to = from): Step => ({ send: { from, to } })

describe('one block at a time', () => {
  test('each acknowledgement brings the next block, the last one the end', () => {
    const one = transfer({ size: 1025 })
    expect(one.start(0)).toEqual(blocks(1))
    expect(one.acknowledge(1, 1)).toEqual(blocks(2))
    expect(one.acknowledge(2, 2)).toEqual(blocks(3))
    expect(one.bytesAcknowledged).toBe(1024)
    expect(one.acknowledge(3, 3)).toEqual({ end: 'done' })
    expect(one.bytesAcknowledged).toBe(1025)
  })

  test.each([[0, 1], [511, 1], [512, 2], [513, 2], [1024, 3]])('a file of %i bytes takes %i blocks: the last is always short', (size, last) => {
    const one = transfer({ size })
    one.start(0)
    for (let block = 1; block < last; block++) expect(one.acknowledge(block, block)).toEqual(blocks(block + 1))
    expect(one.acknowledge(last, last)).toEqual({ end: 'done' })
  })

  test('a repeated acknowledgement sends nothing again (the Sorcerer\'s Apprentice)', () => {
    const one = transfer()
    one.start(0)
    expect(one.acknowledge(1, 1)).toEqual(blocks(2))
    for (let n = 0; n < 5; n++) expect(one.acknowledge(1, 2)).toEqual({})
    expect(one.acknowledge(0, 3)).toEqual({})
    expect(one.acknowledge(2, 4)).toEqual(blocks(3))
    expect(one.resent).toBe(0)
  })

  test('acknowledgements of blocks never sent are ignored', () => {
    const one = transfer()
    one.start(0)
    for (const number of [2, 3, 65535, 32768]) expect(one.acknowledge(number, 1)).toEqual({})
    expect(one.acknowledge(1, 2)).toEqual(blocks(2))
  })
})

describe('options', () => {
  test('an OACK is sent first and answered with block 0', () => {
    const one = transfer({ oack: true })
    expect(one.start(0)).toEqual({ send: 'oack' })
    expect(one.acknowledge(1, 1)).toEqual({})
    expect(one.acknowledge(0, 1)).toEqual(blocks(1))
    expect(one.acknowledge(0, 2)).toEqual({})
  })
  test('an OACK that was lost is sent again', () => {
    const one = transfer({ oack: true })
    one.start(0)
    expect(one.expire(999)).toEqual({})
    expect(one.expire(1000)).toEqual({ send: 'oack' })
    expect(one.acknowledge(0, 1001)).toEqual(blocks(1))
  })
})

describe('windows (RFC 7440)', () => {
  test('a window goes out at once and the next after its last block is acknowledged', () => {
    const one = transfer({ windowSize: 4 })
    expect(one.start(0)).toEqual(blocks(1, 4))
    expect(one.acknowledge(4, 1)).toEqual(blocks(5, 8))
    expect(one.acknowledge(8, 2)).toEqual(blocks(9, 11))
    expect(one.acknowledge(11, 3)).toEqual({ end: 'done' })
  })
  test('an acknowledgement from the middle says what is missing: the window begins after it', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    expect(one.acknowledge(2, 1)).toEqual(blocks(3, 6))
    expect(one.resent).toBe(2)
    for (let n = 0; n < 4; n++) expect(one.acknowledge(2, 2)).toEqual({}) // its echoes
    expect(one.acknowledge(6, 3)).toEqual(blocks(7, 10))
  })
  test('the first block of a window lost: the old acknowledgement once more is answered once', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.acknowledge(4, 1)
    expect(one.acknowledge(4, 2)).toEqual(blocks(5, 8))
    for (let n = 0; n < 4; n++) expect(one.acknowledge(4, 3)).toEqual({})
    expect(one.expire(10_000)).toEqual(blocks(5, 8))
    expect(one.acknowledge(4, 10_001)).toEqual(blocks(5, 8)) // lost again, after a new try: again once
  })
  test('late and reordered acknowledgements never move it back', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.acknowledge(4, 1)
    expect(one.acknowledge(2, 2)).toEqual({})
    expect(one.acknowledge(1, 2)).toEqual({})
    expect(one.acknowledge(8, 3)).toEqual(blocks(9, 11))
  })
})

describe('time', () => {
  test('a block unanswered is sent again, after longer and longer waits, until patience ends', () => {
    const one = transfer({ patience: 20_000 })
    one.start(0)
    const times: number[] = []
    for (let now = 0; ; now += 100) {
      const step = one.expire(now)
      if (step.end === 'silent') { times.push(now); break }
      if (step.send !== undefined) { expect(step).toEqual(blocks(1)); times.push(now) }
    }
    expect(times).toEqual([1_000, 3_000, 7_000, 12_000, 17_000, 22_000])
    expect(one.resent).toBe(5)
  })
  test('the client\'s own timeout is the first wait', () => {
    const one = transfer({ timeout: 3_000 })
    one.start(0)
    expect(one.expire(2_999)).toEqual({})
    expect(one.expire(3_000)).toEqual(blocks(1))
  })
  test('a quick client is waited for less long', () => {
    const one = transfer()
    one.start(0)
    one.acknowledge(1, 1)
    expect(one.deadline).toBe(101)
    expect(one.expire(101)).toEqual(blocks(2))
    expect(one.deadline).toBe(301)
  })
  test('an answer to something sent twice says nothing about the round trip (Karn)', () => {
    const one = transfer()
    one.start(0)
    one.expire(1_000)
    one.acknowledge(1, 1_001)
    expect(one.deadline).toBe(2_001)
  })
  test('each new acknowledgement renews the patience', () => {
    const one = transfer({ patience: 5_000 })
    one.start(0)
    for (let block = 1; block <= 10; block++) {
      expect(one.expire(block * 4_000)).toMatchObject({ send: {} })
      expect(one.acknowledge(block, block * 4_000 + 500)).toMatchObject({ send: {} })
    }
  })
  test('it can tell when every block has left', () => {
    const one = transfer({ size: 600 })
    one.start(0)
    expect(one.allSent).toBe(false)
    one.acknowledge(1, 1)
    expect(one.allSent).toBe(true)
  })
})

describe('block numbers roll over', () => {
  test.each([1, 16])('past 65535 with a window of %i', windowSize => {
    const size = 8 * 200_000
    const one = transfer({ size, blockSize: 8, windowSize })
    let step = one.start(0)
    let expected = 1
    for (let now = 1; step.end === undefined; now++) {
      if (step.send === undefined || step.send === 'oack') return expect.fail('nothing to send')
      if (step.send.from !== expected) expect(step.send.from).toBe(expected) // not said 200,000 times: that takes seconds
      expected = step.send.to + 1
      step = one.acknowledge(step.send.to & 0xffff, now)
    }
    expect(expected).toBe(200_002)
  })
})

describe('over a bad network', () => {
  /** A client as RFC 7440 has it: acknowledges each window's end, and the last block in order as soon as it notices a gap. */
  function download (options: { size: number, blockSize: number, windowSize: number, oack: boolean }, chance: () => number, loss: number) {
    const sender = createTransfer(options)
    const last = Math.floor(options.size / options.blockSize) + 1
    const wire: { readonly at: number, readonly order: number, readonly to: 'client' | 'server', readonly block: number | 'oack' }[] = []
    let order = 0
    let now = 0
    let got = options.oack ? -1 : 0
    let inWindow = 0
    let gapTold = false
    let packets = 0
    const post = (to: 'client' | 'server', block: number | 'oack') => {
      if (chance() < loss) return
      for (let copy = chance() < loss ? 2 : 1; copy > 0; copy--) wire.push({ at: now + 1 + Math.floor(chance() * 20), order: order++, to, block })
    }
    const acknowledge = () => { inWindow = 0; post('server', got & 0xffff) }
    let lastHeard = 0
    let step = sender.start(now)
    for (;;) {
      if (step.send === 'oack') post('client', 'oack')
      else if (step.send !== undefined) for (let block = step.send.from; block <= step.send.to; block++) { packets++; post('client', block) }
      if (step.end !== undefined) return { end: step.end, got, last, packets }
      step = {}
      wire.sort((a, b) => a.at - b.at || a.order - b.order)
      const next = wire[0]
      const retry = lastHeard + 700
      now = Math.max(now, Math.min(next?.at ?? Infinity, sender.deadline, retry))
      if (next !== undefined && next.at <= now) {
        wire.shift()
        if (next.to === 'server') { step = sender.acknowledge(next.block as number, now); continue }
        lastHeard = now
        if (next.block === 'oack') { if (got === -1) got = 0; if (got === 0) acknowledge() } else if (got >= 0 && next.block === got + 1) {
          got++
          gapTold = false
          if (++inWindow === options.windowSize || got === last) acknowledge()
        } else if (got >= 0 && next.block > got + 1 && !gapTold) { gapTold = true; acknowledge() } else if (next.block <= got && got === last) acknowledge()
      } else if (now >= sender.deadline) step = sender.expire(now)
      else { lastHeard = now; if (got >= 0) acknowledge() }
    }
  }
  const seeded = (seed: number) => { let state = seed >>> 0; return () => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state / 2 ** 32 } }

  test('with packets lost, doubled and reordered, every transfer ends with the whole file', () => fc.assert(fc.property(
    fc.record({ size: fc.integer({ min: 0, max: 40_000 }), blockSize: fc.constantFrom(8, 512, 1468), windowSize: fc.constantFrom(1, 2, 4, 16, 64), oack: fc.boolean() }), fc.nat(), fc.constantFrom(0, 0.02, 0.1, 0.2), (options, seed, loss) => {
      fc.pre(options.size / options.blockSize < 600)
      const { end, got, last } = download(options, seeded(seed), loss)
      if (end === 'done') expect(got).toBe(last)
      else expect(got).toBeGreaterThanOrEqual(last) // the client has all of it and left; only the last ACK was lost, again and again
    }), { numRuns: 150 }))

  test('without loss nothing is sent twice', () => fc.assert(fc.property(fc.integer({ min: 0, max: 50_000 }), fc.constantFrom(1, 4, 16), (size, windowSize) => {
    const sender = transfer({ size, windowSize })
    let step = sender.start(0)
    for (let now = 1; step.end === undefined; now++) step = sender.acknowledge((step.send as { to: number }).to & 0xffff, now)
    expect(sender.resent).toBe(0)
  }), { numRuns: 100 }))
})
