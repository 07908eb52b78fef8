/** Hostile PDUs and SCSI commands through logins and sessions of the target: what breaks, what is kept, and whether a good initiator is served in the midst of it. */
import { DiskError } from '../../../iscsi/disk/disk.ts'
import type { Disk } from '../../../iscsi/disk/disk.ts'
import { Portal } from '../../../iscsi/portal.ts'
import { Traffic } from '../../../iscsi/traffic.ts'
import { createDice } from '../../sim/dice.ts'
import type { Dice } from '../../sim/dice.ts'
import type { FuzzOptions, FuzzOutcome } from '../dhcp/run.ts'
import { Line } from './line.ts'
import { blocks, command, dataOut, login, mutated, names, other } from './speaker.ts'

/** Lines at once; when there are more the oldest hangs up. */
const mostLines = 12
const size = blocks * 512
const mark = 0x5a

/** A disk in memory that takes no call beyond its edges, none after it was closed, and no write when it is to be read. */
function strictDisk (bytes: Buffer, readOnly: boolean, open: Set<object>, length: number): Disk {
  const disk: Disk = {
    size: length,
    read (offset, into, at, count) { check(offset, count); if (at < 0 || at + count > into.length) throw new RangeError(`${count} bytes at ${at} of ${into.length}`); bytes.copy(into, at, offset, offset + count) },
    write (offset, data) { check(offset, data.length); if (readOnly) throw new RangeError('a write to what is read only'); if (offset === 77 * 512) throw new DiskError('a bad block'); data.copy(bytes, offset) },
    discard (offset, count) { check(offset, count); bytes.fill(0, offset, offset + count) },
    mapped (offset) { check(offset, 1); return { mapped: true, length: size - offset } },
    flush () { check(0, 0) },
    close () { open.delete(disk) }
  }
  const check = (offset: number, count: number): void => {
    if (!open.has(disk)) throw new RangeError('a call of a disk that was closed')
    if (!Number.isSafeInteger(offset) || offset < 0 || count < 0 || offset + count > size) throw new RangeError(`${count} bytes from ${offset} of ${size}`)
  }
  open.add(disk)
  return disk
}

export interface IscsiFuzzOptions extends FuzzOptions { /** To see that it fails: a disk that says it is larger than it is. */ readonly lyingDisk?: boolean }

export async function fuzz ({ packets, seconds = Infinity, seed, collect, lyingDisk = false }: IscsiFuzzOptions): Promise<FuzzOutcome> {
  const dice = createDice(seed)
  const counts = new Map<string, number>()
  const failures: { packet: number, what: string, hex: string }[] = []
  let last: Buffer = Buffer.alloc(0)
  let [done, most, firstTenth, lastFrom, heapThen] = [0, 0, 0, 0, 0]
  const fail = (what: string): void => { if (failures.length < 10) failures.push({ packet: done, what, hex: last.subarray(0, 400).toString('hex') }) }

  const open = new Set<object>()
  const [writable, readable] = [Buffer.alloc(size), Buffer.alloc(size, mark)]
  const told = lyingDisk ? size + 512 * 8 : size
  const unit = (bytes: Buffer, readOnly: boolean, serial: string) => ({ open: () => strictDisk(bytes, readOnly, open, told), shared: true, readOnly, blockLength: 512, serial, thin: !readOnly })
  const units = new Map([[0, unit(readable, true, 'read')], [1, unit(writable, false, 'write')], [2, { ...unit(writable, false, 'own'), shared: false }]])
  const portal = new Portal()
  portal.offer([{ name: names.open, units }, { name: names.guarded, units, chap: { initiators: [{ name: 'alice', secret: 'correct horse battery' }] } }])
  const traffic = new Traffic({ mostWaiting: 8 << 20 })
  const lines: Line[] = []
  const options = {
    portal, traffic, addresses: () => ['192.0.2.9:3260'],
    log: (_level: string, words: Readonly<Record<string, unknown>>, message: string) => { if (message.includes('inside the target')) fail(`${message}: ${words.err instanceof Error ? words.err.stack : String(words.err)}`) },
    told: (event: { readonly kind: string, readonly target: string }) => { if (event.target === names.guarded) fail('a session without its proof') }
  }
  const spent = (): number => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6 }
  const [begun, spentBefore] = [performance.now(), spent()]

  /** In the midst of all that a good initiator logs in, reads a block and logs out. */
  const served = (): void => {
    const line = new Line(options, new Map(), 1)
    const head = Buffer.alloc(48)
    head[0] = 0x43; head[1] = 0x87; head[8] = 0x80; head.writeUInt32BE(1, 24)
    line.say(line.framed(head, Buffer.from(`InitiatorName=${names.me}-good\0TargetName=${names.open}\0`)))
    for (let round = 0; round < 2; round++) { // the first may hear of a reset
      const read = Buffer.alloc(48)
      read[0] = 0x01; read[1] = 0xc0; read.writeUInt32BE(512, 20); read.writeUInt32BE(round + 1, 24); read[32] = 0x28; read.writeUInt32BE(9, 34); read.writeUInt16BE(1, 39)
      line.say(line.framed(read, Buffer.alloc(0)))
    }
    const answer = line.heard.at(-1)
    if (answer?.opcode !== 0x25 || answer.data.length !== 512 || !answer.data.every(byte => byte === mark)) fail(`a good initiator was not served: ${line.heard.map(({ opcode }) => opcode.toString(16)).join(' ')}`)
    line.connection.end('done')
  }

  while (done < packets && failures.length < 10 && performance.now() - begun < seconds * 1000) {
    const line = lineOf()
    last = next(line, dice)
    try {
      if (dice.chance(0.2) && last.length > 1) { const at = dice.whole(1, last.length - 1); line.say(last.subarray(0, at)); line.say(last.subarray(at)) } else line.say(last)
      if (dice.chance(0.002)) line.connection.watch(performance.now() + 100_000, 60_000)
    } catch (error) { fail(`it throws: ${error instanceof Error ? error.stack : String(error)}`) }
    for (const what of line.faults.splice(0)) fail(what)
    done++
    if (dice.chance(0.001)) portal.offer([{ name: names.open, units }, { name: names.guarded, units, chap: { initiators: [{ name: 'alice', secret: 'correct horse battery' }] } }])
    if (done % 1024 === 0) {
      served()
      most = Math.max(most, portal.sessionCount + open.size)
      if (portal.sessionCount > mostLines) fail(`${portal.sessionCount} sessions are kept`)
      if (traffic.waiting > traffic.mostWaiting || traffic.waiting < 0 || traffic.queued < 0) fail(`${traffic.waiting} bytes wait, ${traffic.queued} are queued`)
      if (done % 16_384 === 0) await new Promise(resolve => { setImmediate(resolve) })
    }
    if (firstTenth === 0 && done >= packets / 10) firstTenth = done / (spent() - spentBefore)
    if (heapThen === 0 && done >= packets / 5) heapThen = heap(collect)
    if (lastFrom === 0 && done >= packets * 0.9) lastFrom = spent()
  }
  for (const line of lines.splice(0)) line.connection.end('done')
  if (portal.sessionCount !== 0 || traffic.waiting !== 0 || traffic.queued !== 0) fail(`at the end ${portal.sessionCount} sessions, ${traffic.waiting} bytes waiting, ${traffic.queued} queued`)
  if (!readable.every(byte => byte === mark)) fail('what is read only was written')
  const end = spent()
  return {
    packets: done, seconds: (performance.now() - begun) / 1000, perSecond: done / (end - spentBefore), firstTenth, lastTenth: done < packets ? 0 : packets / 10 / (end - lastFrom),
    heap: [heapThen, heap(collect)], mostKept: most, counts: Object.fromEntries([...counts].sort(([one], [two]) => one < two ? -1 : 1)), failures
  }

  function lineOf (): Line {
    for (let at = lines.length - 1; at >= 0; at--) if (lines[at]?.open === false) lines.splice(at, 1)
    if (lines.length === 0 || (lines.length < mostLines && dice.chance(0.1)) || dice.chance(0.002)) {
      if (lines.length >= mostLines) lines.shift()?.connection.end('the oldest')
      lines.push(new Line(options, counts, dice.pick([1, 0, 0xfffffff0, 12_345])))
    }
    return dice.pick(lines)
  }
}

function next (line: Line, dice: Dice): Buffer {
  if (!line.loggedIn) return dice.chance(0.02) ? mutated(login(line, dice, true), dice) : login(line, dice, dice.chance(0.6))
  const kind = dice.random()
  const said = kind < 0.55 ? command(line, dice) : kind < 0.85 ? (line.asked.length > 0 || dice.chance(0.1) ? dataOut(line, dice) : command(line, dice)) : other(line, dice)
  return dice.chance(0.01) ? mutated(said, dice) : said
}

function heap (collect: (() => void) | undefined): number {
  if (collect === undefined) return 0
  collect()
  return Math.round(process.memoryUsage().heapUsed / 1e5) / 10
}
