/** Millions of packets through a rack's receive path, batch by batch: what breaks, what is kept in memory, how fast it goes. */
import { createDice } from '../../sim/dice.ts'
import type { Dice } from '../../sim/dice.ts'
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import { Speaker } from './conversation.ts'
import { readCorpus } from './corpus.ts'
import { mutate } from './mutation.ts'
import { createFuzzRack } from './rack.ts'
import type { FuzzRack } from './rack.ts'
import { at } from './referee.ts'

export interface FuzzOptions { readonly packets: number, readonly seconds?: number | undefined, readonly seed: number, readonly collect?: (() => void) | undefined }
export interface FuzzOutcome {
  readonly packets: number, readonly seconds: number
  /** Packets a second of processor time: of all, of the first and of the last tenth. Others may be busy on the machine. */
  readonly perSecond: number
  readonly firstTenth: number, readonly lastTenth: number
  /** MB in use after a collection, after a fifth of the packets and at the end; 0 when nothing collects. */
  readonly heap: readonly [number, number]
  readonly mostKept: number
  readonly counts: Readonly<Record<string, number>>
  readonly failures: readonly { readonly packet: number, readonly what: string, readonly hex: string }[]
}
/** What a rack may keep, whatever comes in: the askers it counts, its ports, and a few things for each address of its pools. */
export const mostKept = 60_000

const batch = 64
const known = '52:54:00:00:00:aa'
const fixed = '52:54:00:00:00:bb'

/** One phase after the other, over and over: each is a kind of sender. */
const phases = ['mixed', 'mutated', 'talk', 'invented', 'outright', 'replies', 'mixed', 'silent', 'other'] as const
type Phase = typeof phases[number]
const phaseLength = 4096

export async function fuzz ({ packets, seconds = Infinity, seed, collect }: FuzzOptions): Promise<FuzzOutcome> {
  const dice = createDice(seed)
  const corpus = readCorpus().map(({ data }) => data)
  const rack = createFuzzRack()
  await rack.lease(known, '10.0.0.120')
  rack.setAside(fixed, '10.0.0.20')
  rack.setAside('id:ff01020304', '10.0.0.21')
  const speaker = new Speaker({
    macs: Array.from({ length: 60 }, (_, index) => `52:54:00:00:01:${(index + 16).toString(16)}`), // not the known ones: words in their name could give back their addresses
    addresses: [...Array.from({ length: 130 }, (_, index) => at('10.0.0.95') + index), at('10.0.0.20'), at('10.0.0.21'), at('10.0.0.1'), at('10.0.0.2'), at('10.0.0.0'), at('10.0.0.255'), at('10.0.1.15'), at('10.0.2.20'), at('192.0.2.7'), 0],
    servers: [at('10.0.0.2'), at('10.0.0.2'), at('10.0.2.2'), at('10.0.0.3'), 0],
    relays: [at('10.0.0.9'), at('10.0.1.9'), at('10.0.2.9'), at('192.168.0.1'), at('255.255.255.255')]
  })
  const failures: { packet: number, what: string, hex: string }[] = []
  const begun = performance.now()
  const spent = (): number => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6 }
  const spentBefore = spent()
  let [done, most, firstTenth, lastFrom, heapThen] = [0, 0, 0, 0, 0]
  const fail = (what: string, hex = '') => { if (failures.length < 10) failures.push({ packet: done, what, hex }) }

  while (done < packets && failures.length < 10 && performance.now() - begun < seconds * 1000) {
    const phase = phases[Math.floor(done / phaseLength) % phases.length] as Phase
    rack.region = phase === 'silent' ? 'silent' : phase === 'other' ? 'other' : 'stored'
    for (let i = 0; i < batch; i++) {
      const data = Buffer.from(next(phase, speaker, corpus, dice)) // what comes from a socket is a buffer of its own, too
      const before = rack.troubles().length
      try { rack.receive(data, dice.chance(0.85) ? rack.segments[0] : rack.segments[1]) } catch (error) { fail(`it throws: ${reasonOf(error)}`, data.toString('hex')) }
      for (const { what, hex } of rack.troubles().slice(before)) fail(what, hex)
      if (i % 8 === 0) { const what = alone(data); if (what !== undefined) fail(what, data.toString('hex')) }
      done++
    }
    const before = rack.troubles().length
    await rack.pass(dice.chance(0.001) ? 60_000 : dice.chance(0.1) ? 50 : 3)
    for (const { what, hex } of rack.troubles().slice(before)) fail(what, hex)
    if (done % (batch * 256) === 0) {
      await served(rack, fail)
      most = Math.max(most, rack.kept())
      if (most > mostKept) fail(`${most} things are kept in memory`)
      await new Promise(resolve => { setImmediate(resolve) })
    }
    if (firstTenth === 0 && done >= packets / 10) firstTenth = done / (spent() - spentBefore)
    if (heapThen === 0 && done >= packets / 5) heapThen = heap(collect)
    if (lastFrom === 0 && done >= packets * 0.9) lastFrom = spent()
  }
  const [took, end] = [(performance.now() - begun) / 1000, spent()]
  most = Math.max(most, rack.kept())
  return {
    packets: done, seconds: took, perSecond: done / (end - spentBefore), firstTenth, lastTenth: done < packets ? 0 : packets / 10 / (end - lastFrom),
    heap: [heapThen, heap(collect)], mostKept: most,
    counts: Object.fromEntries([...rack.counts].sort(([one], [other]) => one < other ? -1 : 1)), failures
  }
}

function next (phase: Phase, speaker: Speaker, corpus: readonly Buffer[], dice: Dice): Buffer {
  switch (phase) {
    case 'mutated': return mutate(dice.pick(corpus), dice.pick(corpus), dice)
    case 'invented': return speaker.say(dice, 1, undefined)
    case 'outright': return speaker.say(dice, 3, undefined)
    case 'replies': return speaker.say(dice, dice.pick([2, 5, 6]))
    case 'talk': return speaker.say(dice)
    default: {
      const kind = dice.random()
      if (kind < 0.4) return mutate(dice.pick(corpus), dice.pick(corpus), dice)
      return kind < 0.7 ? speaker.say(dice) : mutate(speaker.say(dice), dice.pick(corpus), dice)
    }
  }
}

/** The codec alone: what it reads it writes again, and reads back the same. */
function alone (data: Buffer): string | undefined {
  try {
    const packet = decode(data)
    const again = decode(encode(packet))
    for (const [code, value] of packet.options) if (code !== 52 && !again.options.get(code)?.equals(value)) return `option ${code} is not the same after writing it`
    return again.xid === packet.xid && again.mac === packet.mac && again.ciaddr === packet.ciaddr && again.giaddr === packet.giaddr ? undefined : 'a field is not the same after writing it'
  } catch (error) {
    return error instanceof BedplateError && error.code === 'PACKET_INVALID' ? undefined : `the codec throws: ${reasonOf(error)}`
  }
}

/** In the midst of all that, two machines boot. */
async function served (rack: FuzzRack, fail: (what: string) => void): Promise<void> {
  rack.region = 'stored'
  const got = [await rack.boot(known), await rack.boot(fixed)].join(' ')
  if (got !== '10.0.0.120 10.0.0.20') fail(`known machines are not served: ${got}`)
}

function heap (collect: (() => void) | undefined): number {
  if (collect === undefined) return 0
  collect()
  return Math.round(process.memoryUsage().heapUsed / 1e5) / 10
}
