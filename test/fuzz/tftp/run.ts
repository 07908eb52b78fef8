/** Hostile packets through the requests and transfers of the TFTP server: what breaks, what is kept, and whether machines boot in the midst of it. */
import { BedplateError, reasonOf } from '../../../core/errors.ts'
import { decode, encode } from '../../../plugins/boot/tftp/packet.ts'
import type { Packet } from '../../../plugins/boot/tftp/packet.ts'
import { createDice } from '../../sim/dice.ts'
import type { Dice } from '../../sim/dice.ts'
import type { FuzzOptions, FuzzOutcome } from '../dhcp/run.ts'
import { mutate, random, reply, request } from './mutation.ts'
import { createFuzzNetwork, mostTransfers } from './network.ts'
import type { FuzzNetwork } from './network.ts'

export { mostTransfers }

/** Hostile senders. The machine that boots has an address of its own. */
const addresses = ['192.0.2.10', '192.0.2.11', '192.0.2.12', '2001:db8::10']
const machine = '192.0.2.99'
const batch = 64

export async function fuzz ({ packets, seconds = Infinity, seed, collect }: FuzzOptions): Promise<FuzzOutcome> {
  const dice = createDice(seed)
  const letters = (length: number) => Buffer.from(random(dice, length).map(byte => 97 + byte % 26)) // no line ends: the same in mode netascii
  const network = createFuzzNetwork(new Map([['loader.efi', letters(50_000)], ['small.bin', letters(700)], ['empty.bin', Buffer.alloc(0)], ['slow.bin', letters(3_000)]]))
  const failures: { packet: number, what: string, hex: string }[] = []
  const begun = performance.now()
  const spent = (): number => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6 }
  const spentBefore = spent()
  let [done, most, firstTenth, lastFrom, heapThen] = [0, 0, 0, 0, 0]
  let last: Buffer = Buffer.alloc(0)
  const fail = (what: string, hex = last.toString('hex')) => { if (failures.length < 10) failures.push({ packet: done, what, hex }) }

  while (done < packets && failures.length < 10 && performance.now() - begun < seconds * 1000) {
    for (let index = 0; index < batch; index++) {
      last = next(network, dice)
      const line = dice.chance(0.6) ? anyOf([...network.lines], dice) : undefined
      try {
        if (line === undefined) network.ask(last, { address: dice.pick(addresses), port: dice.whole(1_024, dice.chance(0.2) ? 1_030 : 65_535) })
        else {
          const said = dice.chance(0.7) ? reply(dice, line.newest) : mutate(reply(dice, line.newest), last, dice)
          last = said
          if (dice.chance(0.005)) line.events.gone()
          else if (dice.chance(0.002)) line.events.failed(new TypeError('a socket that fails'))
          else line.events.received(said)
        }
      } catch (error) { fail(`it throws: ${reasonOf(error)}`) }
      if (index % 4 === 0) { const what = alone(last); if (what !== undefined) fail(what) }
      done++
    }
    await network.pass(dice.chance(0.01) ? 6_000 : dice.chance(0.02) ? 1_100 : dice.chance(0.2) ? 50 : 1)
    for (const what of network.faults.splice(0)) fail(what)
    most = Math.max(most, network.requests.transfers, network.lines.size)
    if (network.requests.transfers > mostTransfers) fail(`${network.requests.transfers} transfers at once`)
    if (done % (batch * 64) === 0) {
      const what = await boots(network)
      if (what !== undefined) fail(what)
      await new Promise(resolve => { setImmediate(resolve) })
    }
    if (firstTenth === 0 && done >= packets / 10) firstTenth = done / (spent() - spentBefore)
    if (heapThen === 0 && done >= packets / 5) heapThen = heap(collect)
    if (lastFrom === 0 && done >= packets * 0.9) lastFrom = spent()
  }
  const [took, end] = [(performance.now() - begun) / 1000, spent()]
  await network.requests.end()
  if (network.lines.size + network.openContents + network.requests.transfers > 0) fail(`${network.lines.size} wires and ${network.openContents} files are open in the end`)
  return {
    packets: done, seconds: took, perSecond: done / (end - spentBefore), firstTenth, lastTenth: done < packets ? 0 : packets / 10 / (end - lastFrom),
    heap: [heapThen, heap(collect)], mostKept: most,
    counts: Object.fromEntries([...network.counts].sort(([one], [other]) => one < other ? -1 : 1)), failures
  }
}

const anyOf = <T>(all: readonly T[], dice: Dice): T | undefined => all.length === 0 ? undefined : dice.pick(all)
function next (_network: FuzzNetwork, dice: Dice): Buffer {
  const kind = dice.random()
  if (kind < 0.5) return request(dice)
  return kind < 0.9 ? mutate(request(dice), reply(dice, dice.whole(0, 20)), dice) : mutate(reply(dice, 5), request(dice), dice)
}

/** The codec alone: it throws PACKET_INVALID and nothing else, and what it reads it writes again, and reads back the same. */
function alone (data: Buffer): string | undefined {
  try {
    const packet = decode(data)
    const again = decode(encode(packet))
    const flat = (one: Packet): string => JSON.stringify(one, (_key, value: unknown) => value instanceof Map ? [...value] : value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)
    return flat(packet) === flat(again) ? undefined : `it is not the same after writing it: ${flat(packet)} ${flat(again)}`.slice(0, 300)
  } catch (error) {
    return error instanceof BedplateError && error.code === 'PACKET_INVALID' ? undefined : `the codec throws: ${reasonOf(error)}`
  }
}

/** In the midst of all that, a machine fetches its loader: from the places it can count on, however many others want them. */
async function boots (network: FuzzNetwork): Promise<string | undefined> {
  const wanted = network.files.get('loader.efi')
  for (const [name, options] of [['loader.efi', { blksize: '1468', windowsize: '16', tsize: '0' }], ['loader.efi', {}]] as const) {
    const got: Buffer[] = []
    let [blockSize, windowSize, expected, inWindow, over] = [512, 1, 1, 0, false]
    let refused: string | undefined
    network.answered = ({ address }, packet) => { if (address === machine && packet.op === 'error') refused = packet.message }
    network.begun = line => {
      if (line.remote.address !== machine) return
      const say: Buffer[] = []
      line.heard = packet => {
        if (packet.op === 'error') refused = packet.message
        else if (packet.op === 'oack') {
          blockSize = Number(packet.options.get('blksize'))
          windowSize = Number(packet.options.get('windowsize'))
          say.push(encode({ op: 'ack', block: 0 }))
        } else if (packet.op === 'data' && packet.block === expected) {
          got.push(Buffer.from(packet.data))
          expected++
          over = packet.data.length < blockSize
          if (++inWindow === windowSize || over) { inWindow = 0; say.push(encode({ op: 'ack', block: expected - 1 })) }
        }
        queueMicrotask(() => { for (const one of say.splice(0)) if (line.open) line.events.received(one) })
      }
    }
    // what others have asked for and not answered to makes room after a second
    for (let tries = 0; tries < 4 && !over; tries++) {
      refused = undefined
      got.length = 0
      network.ask(encode({ op: 'read', name, mode: 'octet', options: new Map(Object.entries(options)) }), { address: machine, port: 40_000 + tries })
      for (let turn = 0; turn < 40 && !over && refused === undefined; turn++) await network.pass(1)
      if (!over) await network.pass(1_500)
    }
    network.begun = () => {}
    network.answered = () => {}
    await network.pass(1)
    if (!over || wanted === undefined || !Buffer.concat(got).equals(wanted)) return `a machine does not get its loader in the midst of it: ${refused ?? `${got.length} blocks`}`
  }
  return undefined
}

function heap (collect: (() => void) | undefined): number {
  if (collect === undefined) return 0
  collect()
  return Math.round(process.memoryUsage().heapUsed / 1e5) / 10
}
