/**
 * Racks on a segment in virtual time: the real member, election and codec; the kernel, the wire and chance are made here. Racks crash, are stopped and go on, are cut off (in one
 * direction too), lose packets and end in order; what is watched is where the address is.
 */
import type { FloatingAddress, Link } from '../../../../core/address/address.ts'
import type { Clock } from '../../../../core/plugin.ts'
import { Member } from '../../../../plugins/boot/floating/member.ts'
import { createDice } from '../../../sim/dice.ts'
import { quiet } from '../../../kit/parts.ts'

const step = 5 // ms
const poll = 50 // ms, as the service looks
const address: FloatingAddress = { text: '192.0.2.20', family: 4, bytes: Uint8Array.of(192, 0, 2, 20), prefix: 24 }

interface Frame { readonly at: number, readonly bytes: Uint8Array }
interface Rack {
  readonly number: number, readonly mac: string, readonly rate: number
  member: Member | undefined
  wakeAt: number
  stopped: boolean
  stirred: number // when it last was stopped or went on
  until: number // the kernel keeps the address up to then
  lateness: number
  readonly inbox: Frame[]
  asking: { readonly at: number, readonly resolve: (mac: string | undefined) => void, readonly found: string | undefined } | undefined
}
export interface Outcome {
  readonly violations: readonly string[]
  readonly story: readonly string[]
  /** ms without any holder, of each time there was none. */
  readonly gaps: readonly number[]
  readonly takes: number
}
export interface Schedule { readonly racks: number, readonly seconds: number, readonly asymmetric: boolean, readonly lossy: boolean }

/** Longest time (ms) in which somebody must have the address, while a rack runs that hears all that others hear, from the last disturbance on. */
const emptyAtMost = { plain: 2600, blocked: 8000 } as const
/** Two that hear each other for so long (ms) share it no more: an interval, a look, and the way of an advertisement; or, where one of them hears nothing any more, the kernel's lifetime. */
const sharedAtMost = { running: 700, stopped: 1300 } as const
/** After so long (ms) without a disturbance between them two racks share it for no time at all. */
const calm = 4000
/** And after so long every host has heard where it is. */
const heardOf = 8000

export async function simulate (seed: number, { racks: count, seconds, asymmetric, lossy }: Schedule): Promise<Outcome> {
  const dice = createDice(seed)
  const story: string[] = []
  const violations: string[] = []
  const gaps: number[] = []
  let now = 0
  let takes = 0
  let loss = 0
  let rewired = 0 // when a cable was last touched
  let ending = false
  const racks: Rack[] = Array.from({ length: count }, (_, number) => ({ number, mac: `02:00:00:00:00:0${number + 1}`, rate: dice.between(0.99, 1.01), member: undefined, wakeAt: 0, stopped: false, stirred: 0, until: -1, lateness: 0, inbox: [], asking: undefined }))
  const hears = racks.map(() => racks.map(() => true)) // hears[i][j]: j hears i
  const disturbed = racks.map(() => racks.map(() => -calm)) // when anything last happened to the pair
  const ok = (i: number, j: number): boolean => hears[i]?.[j] === true
  const told = racks.map(() => -1) // beside each rack: whose MAC the hosts there have for the address
  const mutual = (i: number, j: number): boolean => ok(i, j) && ok(j, i)
  const runs = ({ member, stopped }: Rack): boolean => member !== undefined && !stopped
  const has = ({ until }: Rack): boolean => until > now
  const tell = (line: string): void => { story.push(`${now} ${line}`) }
  const disturb = (who: number, at = now): void => { for (const { number } of racks) { disturbed[who]![number] = at; disturbed[number]![who] = at } }

  function born (rack: Rack): void {
    rack.until = -1 // the service takes off what an earlier process left
    rack.inbox.length = 0
    rack.stopped = false
    rack.asking = undefined
    rack.wakeAt = now
    const link: Link = { index: 2, name: 'eth0', mac: Uint8Array.of(2, 0, 0, 0, 0, rack.number + 1), ethernet: true, up: true }
    const clock: Clock = { now: () => { throw new TypeError('nothing here goes by the time of day') }, monotonic: () => now * rack.rate, sleep: () => { throw new TypeError('nothing here waits') } }
    rack.member = new Member({
      place: { vlan: '1', address, link, vrid: 20, source: Uint8Array.of(192, 0, 2, rack.number + 2) },
      company: { rank: rack.number, peers: new Map(racks.filter(one => one !== rack).map(({ mac, number }) => [mac, `rack-${number}`])) },
      clock, log: quiet,
      channel: {
        send: bytes => { for (const other of racks) if (other !== rack && ok(rack.number, other.number) && !dice.chance(loss)) other.inbox.push({ at: now + dice.whole(0, 3), bytes }) },
        receive: () => (rack.inbox[0]?.at ?? Infinity) <= now ? rack.inbox.shift()?.bytes : undefined,
        close () {}
      },
      interfaces: {
        put (_address, _link, life) {
          if (!has(rack)) { takes++; tell(`rack ${rack.number} has it`) }
          rack.until = now + life * 1000 + dice.whole(0, 280)
        },
        remove () {
          if (has(rack)) {
            tell(`rack ${rack.number} takes it off`)
            if (!asymmetric && !lossy && !ending && now - rewired > calm && now - rack.stirred > calm) violations.push(`${now} ms: rack ${rack.number}, which runs and serves, gives it up to one that came back`)
          }
          rack.until = -1
        }
      },
      segment: {
        whoHas: () => new Promise(resolve => {
          const found = racks.find(other => other !== rack && has(other) && mutual(rack.number, other.number) && !dice.chance(loss))
          rack.asking = { at: now + 60, resolve, found: found?.mac }
        }),
        announce: async () => { for (const other of racks) if (other === rack || (ok(rack.number, other.number) && !dice.chance(loss))) told[other.number] = rack.number }
      }
    })
  }

  /** One thing happens to somebody. */
  function happen (): void {
    const rack = dice.pick(racks)
    const { number } = rack
    const all = (open: boolean): void => { rewired = now; for (const other of racks) if (other !== rack) { hears[number]![other.number] = open; hears[other.number]![number] = open } }
    disturb(number)
    if (rack.member === undefined) { tell(`rack ${number} starts`); born(rack); return }
    if (rack.stopped) { tell(`rack ${number} goes on`); rack.stopped = false; rack.stirred = rack.wakeAt = now; return }
    switch (dice.whole(0, asymmetric ? 7 : 6)) {
      case 0: tell(`rack ${number} crashes`); rack.member = undefined; break
      case 1: tell(`rack ${number} ends in order`); ending = true; rack.member.resign(); ending = false; rack.member = undefined; break
      case 2: tell(`rack ${number} is stopped`); rack.stopped = true; break
      case 3: tell(`rack ${number} is cut off`); all(false); break
      case 4: if (lossy) { loss = dice.pick([0, 0.1, 0.3]); tell(`loss ${loss}`); for (const one of racks) disturb(one.number) } break
      case 7: { const other = dice.pick(racks); if (other !== rack) { hears[number]![other.number] = false; tell(`rack ${other.number} does not hear rack ${number}`) } break }
      default:
        tell('all cables are in')
        rewired = now
        for (const one of racks) for (const two of racks) { if (!ok(one.number, two.number)) { disturb(one.number); disturb(two.number) } hears[one.number]![two.number] = true }
    }
  }

  const shared = new Map<string, number>() // pair → since when
  let emptySince: number | undefined
  let reported = -1

  function watch (): void {
    for (const one of racks) {
      for (const two of racks) {
        if (two.number <= one.number) continue
        const pair = `${one.number} and ${two.number}`
        const both = has(one) && has(two) && mutual(one.number, two.number)
        if (!both || loss > 0) { shared.delete(pair); continue }
        const since = shared.get(pair) ?? now
        shared.set(pair, since)
        if (now - Math.max(disturbed[one.number]![two.number]!, 0) > calm) violations.push(`${now} ms: racks ${pair} have it both, and nothing happened between them`)
        else if (Math.min(now - since, now - disturbed[one.number]![two.number]!) > (runs(one) && runs(two) ? sharedAtMost.running : sharedAtMost.stopped)) violations.push(`${now} ms: racks ${pair} hear each other and have it both for ${now - since} ms`)
      }
    }
    const [holder, second] = racks.filter(has)
    if (holder !== undefined && second === undefined && !lossy && !asymmetric && now - Math.max(...disturbed.flat()) > heardOf) {
      const misled = racks.find(({ number }) => (number === holder.number || mutual(number, holder.number)) && told[number] !== holder.number)
      if (misled !== undefined && violations.length === 0) violations.push(`${now} ms: rack ${holder.number} has it, but the hosts beside rack ${misled.number} look for it at rack ${told[misled.number]}`)
    }
    const running = racks.filter(runs)
    const held = racks.some(rack => has(rack))
    if (held) {
      if (emptySince !== undefined) gaps.push(now - emptySince)
      emptySince = undefined
    } else emptySince ??= now
    const since = Math.max(emptySince ?? now, ...running.map(({ number }) => Math.max(...disturbed[number]!)))
    if (!held && loss === 0 && running.length > 0 && now - since > (asymmetric || lossy ? emptyAtMost.blocked : emptyAtMost.plain) && reported !== since) {
      reported = since
      violations.push(`${now} ms: nobody has had it for ${now - since} ms, though rack ${running[0]!.number} runs`)
    }
  }

  for (const rack of racks) if (rack.number === 0 || dice.chance(0.8)) born(rack)
  for (const rack of racks) disturb(rack.number, 0)
  let next = 5000
  while (now < seconds * 1000) {
    now += step
    if (now >= next) { happen(); next = now + dice.whole(1, dice.chance(0.5) ? 3000 : 15_000) }
    for (const rack of racks) {
      if (rack.member === undefined || rack.stopped) continue
      if (rack.asking !== undefined && rack.asking.at <= now) {
        const { resolve, found } = rack.asking
        rack.asking = undefined
        resolve(found)
        for (let turn = 0; turn < 4; turn++) await null
      }
      if (rack.wakeAt <= now) rack.wakeAt = Math.min(rack.member.step() / rack.rate, now + poll)
    }
    watch()
  }
  return { violations, story, gaps, takes }
}
