/** The rack's half over a region of the tests, with a journal on disk, a clock the test moves, and a cable it can pull. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BedplateError } from '../../../core/errors.ts'
import { createLogger } from '../../../core/log.ts'
import { createMetrics } from '../../../core/metrics.ts'
import { openJournal } from '../../../plugins/dhcp/alone/journal-file.ts'
import type { Journal } from '../../../plugins/dhcp/alone/journal.ts'
import type { RegionClient, WantedEntry } from '../../../plugins/dhcp/manifest.ts'
import { messageName, option } from '../../../plugins/dhcp/options/codes.ts'
import { readU8 } from '../../../plugins/dhcp/options/values.ts'
import { ipText } from '../../../plugins/dhcp/v4/ipv4.ts'
import { decode, encode } from '../../../plugins/dhcp/v4/packet.ts'
import { createResponder } from '../../../plugins/dhcp/rack/responder.ts'
import type { Responder } from '../../../plugins/dhcp/rack/responder.ts'
import { manualClock } from '../../kit/clock.ts'
import type { ManualClock } from '../../kit/clock.ts'
import { scratch } from '../../kit/scratch.ts'
import { until } from '../../kit/wait.ts'
import { packetOf } from './build.ts'
import type { Wire } from './build.ts'
import type { Region } from './region.kit.ts'

export interface Heard { readonly type: string, readonly address: string, readonly seconds: number }
export interface RackKit {
  responder: Responder
  readonly clock: ManualClock
  readonly facts: { kind: string, body: object }[]
  /** No call reaches a region while it is cut; `lost`: calls are carried out, and their answers lost. */
  line: 'up' | 'cut' | 'lost'
  /** The host's start; another one is another boot. */
  bootId: string
  /** Says it, and gives the answer; undefined when there is none by the time all is quiet. */
  say(wire: Wire): Promise<Heard | undefined>
  /** DISCOVER and REQUEST: the address acknowledged. */
  join(mac: string): Promise<Heard | undefined>
  extend(mac: string, address: string): Promise<Heard | undefined>
  /** Has the wanted state as the region sees it now. */
  pull(): Promise<void>
  /** Moves time on, in ms, until the condition holds. */
  passes(condition: () => unknown, step?: number): Promise<void>
  /** Until no call is under way. */
  quiet(): Promise<void>
  /** Dies without a word, and starts again from its disk. */
  crash(): Promise<void>
  close(): Promise<void>
}

export async function openRack (region: Region, name: string, options: { readonly reserveSize?: number, readonly log?: string, readonly journal?: () => Journal } = {}): Promise<RackKit> {
  const directory = mkdtempSync(join(scratch(), 'bedplate-rack-'))
  const clock = manualClock(Date.now())
  const caller = { controller: name, signal: new AbortController().signal }
  const open = new Set<Promise<unknown>>()
  const call = async <T>(carryOut: () => Promise<T>): Promise<T> => {
    if (kit.line === 'cut') throw new BedplateError('LINK_DOWN', { controller: 'a region' })
    const work = carryOut()
    open.add(work)
    try {
      const answer = structuredClone(await work)
      if (kit.line !== 'up') throw new BedplateError('CALL_TIMEOUT', { method: 'it', seconds: 3, controller: 'a region' })
      return answer
    } finally {
      open.delete(work)
    }
  }
  const { rpc } = region.running
  const client: RegionClient = { bind: params => call(() => rpc.bind(structuredClone(params), caller)), grant: params => call(() => rpc.grant(params, caller)), sync: params => call(() => rpc.sync(structuredClone(params), caller)) }
  const make = (): Responder => createResponder({
    config: { rackHttpPort: 5248, firmwareLeaseSeconds: 120, quarantineSeconds: 600, blockSize: 8, reserveSize: options.reserveSize ?? 4, newClientPoolSeconds: 60, newClientsPerSecond: 1000, newClientsPerPort: 1000, newClientsPortBurst: 1000 },
    log: createLogger('silent'), clock, boot: { now: () => 1e6 + clock.monotonic(), get id () { return kit.bootId } }, metrics: createMetrics(), region: client,
    report: (kind, body) => { kit.facts.push({ kind, body }) },
    journal: options.journal ?? (() => openJournal(directory, () => {}))
  })
  let wanted: readonly WantedEntry[] = []
  const kit: RackKit = {
    responder: undefined as never,
    clock,
    facts: [],
    line: 'up',
    bootId: 'boot 1',
    async say (wire) {
      const [segment] = kit.responder.memory.segments.values()
      if (segment === undefined) throw new TypeError('it serves nothing')
      const heard: Heard[] = []
      kit.responder.receive(segment, encode(packetOf(wire)), data => {
        const { options, yiaddr } = decode(Buffer.from(data))
        heard.push({ type: messageName(readU8(options.get(option.messageType))) ?? '', address: ipText(yiaddr), seconds: options.get(option.leaseTime)?.readUInt32BE(0) ?? 0 })
      })
      let quiet = 0
      await until(async () => { await clock.advance(0); quiet = open.size === 0 ? quiet + 1 : 0; return heard.length > 0 || quiet > 3 }, { interval: 1 })
      return heard[0]
    },
    async join (mac) {
      const offer = await kit.say({ type: 'DISCOVER', mac })
      const [segment] = kit.responder.memory.segments.values()
      return offer?.type !== 'OFFER' || segment === undefined ? undefined : await kit.say({ type: 'REQUEST', mac, requested: offer.address, server: ipText(segment.address) })
    },
    extend: (mac, address) => kit.say({ type: 'REQUEST', mac, ciaddr: address }),
    async pull () {
      wanted = structuredClone(await region.wanted(name))
      kit.responder.apply({ put: wanted, remove: [] }, true)
    },
    async passes (condition, step = 0) { await until(async () => { await clock.advance(step); return condition() }, { interval: 1, what: String(condition) }) },
    quiet: () => kit.passes(() => open.size === 0),
    async crash () {
      // As much of an end as a process can make in a test: nothing is written after it.
      const old = kit.responder
      const line = kit.line
      kit.line = 'cut'
      await old.stop()
      kit.line = line
      kit.responder = make()
      kit.responder.apply({ put: wanted, remove: [] }, true)
      kit.responder.start()
    },
    async close () {
      const stopped = kit.responder.stop()
      await kit.passes(() => open.size === 0)
      await stopped
      rmSync(directory, { recursive: true })
    }
  }
  kit.responder = make()
  await kit.pull()
  kit.responder.start()
  return kit
}
