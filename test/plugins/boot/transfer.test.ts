/** The transfer machine: what is sent when, under loss, repetition, reordering and silence. */
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
  })
  test('a window unanswered: its last block asks for an ACK, then all of it goes out again', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    expect(one.expire(1_000)).toEqual(blocks(4))
    expect(one.expire(2_000)).toEqual(blocks(1, 4))
    expect(one.deadline).toBe(4_000)
    expect(one.resent).toBe(5)
  })
  test.each([[4, blocks(5, 8)], [2, blocks(3, 6)]])('the last block asked, and the client says it has %i: that is where it goes on', (number, step) => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.expire(1_000)
    expect(one.acknowledge(number, 1_001)).toEqual(step)
  })
  test('a client that was slow says twice what it has: the echo of what was sent again doubles nothing', () => {
    const one = transfer({ windowSize: 4, size: 512 * 20 })
    one.start(0)
    one.expire(1_000) // block 4 once more
    expect(one.acknowledge(4, 1_100)).toEqual(blocks(5, 8))
    expect(one.acknowledge(4, 1_100)).toEqual({}) // it had block 4
    expect(one.acknowledge(8, 1_200)).toEqual(blocks(9, 12))
    expect(one.acknowledge(8, 1_201)).toEqual({}) // nor can this be about what left a millisecond ago: the client takes a hundred
    expect(one.acknowledge(8, 1_300)).toEqual(blocks(9, 12)) // no echo is due any more: block 9 is lost
  })
  test('a client that counts its window from another block is followed, not sent everything twice', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    expect(one.acknowledge(3, 1)).toEqual(blocks(4, 7)) // it had block 4 all the same, and says so
    expect(one.acknowledge(4, 2)).toEqual(blocks(8)) // 5 to 7 are under way
    expect(one.acknowledge(8, 3)).toEqual(blocks(9, 11))
    expect(one.resent).toBe(1)
  })
  test('and where it did miss the block after that, its ACK once more brings the window', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.acknowledge(3, 1)
    one.acknowledge(4, 2)
    one.acknowledge(4, 3) // may be an echo
    expect(one.acknowledge(4, 4)).toEqual(blocks(5, 8))
  })
  test('at the end of the file there may be nothing new to send', () => {
    const one = transfer({ size: 512 * 5, windowSize: 4 })
    one.start(0)
    one.acknowledge(3, 1)
    expect(one.acknowledge(4, 2)).toEqual({})
    expect(one.expire(one.deadline)).toMatchObject({ send: {} })
    expect(one.acknowledge(6, 1_100)).toEqual({ end: 'done' })
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

describe('windows that arrive in part, again and again', () => {
  /** A transfer of which thirty windows in a row brought a block each; at `now` the next has left. */
  const troubled = () => {
    const one = transfer({ windowSize: 64, size: 512 * 10_000 })
    one.start(0)
    let step: Step = {}
    for (let block = 1; block <= 30; block++) step = one.acknowledge(block, block * 10)
    return { one, now: 300, step }
  }
  test('are sent in parts, little longer than what arrives in a row', () => expect(troubled().step).toEqual(blocks(31, 34)))
  test('one window of which little arrives is no such sign', () => {
    const one = transfer({ windowSize: 64, size: 512 * 10_000 })
    one.start(0)
    expect(one.acknowledge(64, 10)).toEqual(blocks(65, 128))
    expect(one.acknowledge(65, 20)).toEqual(blocks(66, 129))
  })
  test('parts that arrive whole become longer, up to the window', () => {
    const { one, now } = troubled()
    const lengths: number[] = []
    for (let n = 1, last = 34; n <= 6; n++) {
      const { send } = one.acknowledge(last, now + 10 * n)
      if (send === undefined || send === 'oack') return expect.fail('nothing was sent')
      expect(send.from).toBe(last + 1)
      lengths.push(send.to - last)
      last = send.to
    }
    expect(lengths).toEqual([9, 27, 64, 64, 64, 64])
  })
  test('a part without an ACK is followed by others; then all begins again after a longer wait, and goes further, for an ACK may be lost', () => {
    const { one } = troubled()
    const next = () => one.expire(one.deadline)
    expect([next(), next(), next(), next(), next(), next()]).toEqual([blocks(35, 38), blocks(31, 33), blocks(34, 36), blocks(37, 39), blocks(40, 42), blocks(31, 32)])
  })
  test('the next part follows after twice the round trip; where the wait has become longer, not so soon', () => {
    const { one, now } = troubled()
    expect(one.deadline - now).toBeCloseTo(20)
    for (let n = 0; n < 2; n++) one.expire(one.deadline) // 35 to 38, and 31 again
    const again = one.deadline
    one.expire(again)
    expect(one.deadline - again).toBeGreaterThan(20)
  })
  test('an ACK once more that is not answered at once is answered when the wait is over', () => {
    const { one, now } = troubled()
    expect(one.acknowledge(30, now + 15)).toEqual({}) // what it lacks was sent again already
    expect(one.expire(one.deadline)).toEqual(blocks(31, 33))
  })
  test('nor is an ACK that came too soon to be about the newest blocks forgotten', () => {
    const { one, now } = troubled()
    expect(one.acknowledge(31, now + 2)).toEqual({})
    expect(one.expire(one.deadline)).toMatchObject({ send: { from: 32 } })
  })
})

describe('time', () => {
  test('a block unanswered is sent again, after longer and longer waits, until patience ends', () => {
    const one = transfer({ patience: 20_000 })
    one.start(0)
    one.expire(1_000)
    one.acknowledge(1, 1_001) // nothing to measure by
    const times: number[] = []
    for (let now = 1_001; ; now += 100) {
      const step = one.expire(now)
      if (step.end === 'silent') { times.push(now); break }
      if (step.send !== undefined) { expect(step).toEqual(blocks(2)); times.push(now) }
    }
    expect(times).toEqual([2_001, 4_001, 8_001, 13_001, 18_001, 23_001])
    expect(one.resent).toBe(6)
  })
  test('a client that has never said anything is given up sooner: its address may be forged', () => {
    const one = transfer({ oack: true })
    one.start(0)
    for (const now of [1_000, 3_000, 7_000]) expect(one.expire(now)).toEqual({ send: 'oack' })
    expect(one.expire(12_000)).toEqual({ end: 'silent' })
  })
  test('one that has said a word is waited for, though it lacks the first block', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.acknowledge(0, 5)
    expect(one.expire(12_000)).toMatchObject({ send: {} })
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
    expect(one.deadline).toBe(21)
    expect(one.expire(21)).toEqual(blocks(2))
    expect(one.deadline).toBe(61)
  })
  test('a slow one longer, and one that is now quick and now slow longer still', () => {
    const waitAfter = (times: readonly number[]): number => {
      const one = transfer({ size: 512 * 100 })
      let now = 0
      one.start(now)
      for (const [index, time] of times.entries()) one.acknowledge(index + 1, now += time)
      return one.deadline - now
    }
    const [steady, unsteady] = [waitAfter(Array.from({ length: 50 }, () => 55)), waitAfter(Array.from({ length: 50 }, (_, index) => index % 2 === 0 ? 5 : 105))]
    expect(steady).toBeGreaterThan(55)
    expect(steady).toBeLessThan(80)
    expect(unsteady).toBeGreaterThan(150)
  })
  test('an answer to something sent twice says nothing about the round trip (Karn)', () => {
    const one = transfer({ timeout: 2_000 })
    one.start(0)
    one.acknowledge(1, 1)
    one.expire(21) // 40 from here
    one.acknowledge(2, 41)
    expect(one.deadline).toBe(81)
  })
  test('nor does one to the last block that was asked about', () => {
    const one = transfer({ windowSize: 4, size: 512 * 100 })
    one.start(0)
    one.acknowledge(4, 1)
    one.expire(21)
    one.acknowledge(8, 22)
    expect(one.deadline).toBe(42)
  })
  test('nor one to an OACK: what comes soon after it is not too soon', () => {
    const one = transfer({ windowSize: 4, oack: true })
    one.start(0)
    one.expire(1_000)
    one.acknowledge(0, 1_001)
    expect(one.acknowledge(2, 1_010)).toEqual(blocks(3, 6))
  })
  test('but where nothing was measured yet, a gap after a long wait is better than nothing', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.expire(1_000)
    one.expire(2_000)
    one.acknowledge(2, 2_010)
    expect(one.deadline).toBeLessThan(2_010 + 100)
  })
  test('but a gap does not mean that the client is slow', () => {
    const one = transfer({ windowSize: 4 })
    one.start(0)
    one.acknowledge(4, 1)
    one.expire(21)
    one.expire(41)
    one.acknowledge(6, 50)
    expect(one.deadline).toBe(70)
  })
  test('a wait that has become long comes down by half with each gap: the client may be slow, too', () => {
    const one = transfer({ windowSize: 4, size: 512 * 100 })
    one.start(0)
    one.acknowledge(4, 1)
    for (const now of [21, 41, 81]) one.expire(now)
    expect(one.acknowledge(6, 100)).toMatchObject({ send: { from: 7 } })
    expect(one.deadline).toBe(140)
  })
  test('a round trip that was the client\'s own timer is doubted by what comes sooner', () => {
    const one = transfer({ windowSize: 4, size: 512 * 100, oack: true })
    one.start(0)
    one.acknowledge(0, 800) // its ACK was lost, and it said so once more
    one.expire(1_800)
    for (const block of [1, 2, 3]) one.acknowledge(block, 1_800 + 10 * block)
    expect(one.deadline).toBeLessThan(1_830 + 700)
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
