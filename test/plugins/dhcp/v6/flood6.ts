/** Damaged DHCPv6 messages through the real server, with a referee of its own: counts what came of them, and names what must never be. */
import type { Logger } from '../../../../core/log.ts'
import { createLogger } from '../../../../core/log.ts'
import { reasonOf } from '../../../../core/errors.ts'
import type { Wish } from '../../../../plugins/dhcp/manifest.ts'
import { Limits } from '../../../../plugins/dhcp/rack/limits.ts'
import { duidOf } from '../../../../plugins/dhcp/v6/client6.ts'
import { ip6Text, parseIp6 } from '../../../../plugins/dhcp/v6/ipv6.ts'
import { iasOf } from '../../../../plugins/dhcp/v6/packet6.ts'
import { forwarded, unwrap, unwrapReply } from '../../../../plugins/dhcp/v6/relay6.ts'
import { Server6 } from '../../../../plugins/dhcp/v6/server6.ts'
import { memoryOf, relayed } from './build6.ts'
import { golden } from './golden6.ts'

export interface Flood6 { readonly counts: Readonly<Record<string, number>>, readonly failures: readonly string[] }

/** xorshift32: the same numbers for the same seed. */
function random (seed: number): (below: number) => number {
  let state = seed | 1
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const corpus = Object.values(golden).map(hex => Buffer.from(hex, 'hex'))

function damaged (next: (below: number) => number): Buffer {
  let data: Buffer = Buffer.from(corpus[next(corpus.length)] as Buffer)
  for (let times = next(5); times > 0 && data.length > 0; times--) {
    const [at, length] = [next(data.length), 1 + next(24)]
    const slice = data.subarray(at, at + length)
    switch (next(8)) {
      case 0: data[at] = next(256); break
      case 1: data = data.subarray(0, at); break
      case 2: data = Buffer.concat([data.subarray(0, at), data.subarray(at + length)]); break
      case 3: data = Buffer.concat([data.subarray(0, at), slice, data.subarray(at)]); break
      case 4: data.writeUInt16BE(next(0x10000), Math.min(at, Math.max(0, data.length - 2)) % Math.max(1, data.length - 1)); break
      case 5: { const other = corpus[next(corpus.length)] as Buffer; data = Buffer.concat([data.subarray(0, at), other.subarray(next(other.length))]); break }
      case 6: slice.fill(next(2) * 255); break
      default: try { data = forwarded({ relays: [relayed({ link: next(2) === 0 ? '2001:db8:1::9' : '::', hops: next(12) })], message: unwrap(data).message }) } catch { /* it is damaged already */ }
    }
    if (data.length === 1) data = Buffer.concat([data, Buffer.of(0)])
  }
  return data
}

/** @param messages how many */
export function flood6 (messages: number, seed: number): Flood6 {
  const counts: Record<string, number> = {}
  const failures: string[] = []
  const count = (what: string) => { counts[what] = (counts[what] ?? 0) + 1 }
  const next = random(seed)
  const memory = memoryOf({ ranges: [['2001:db8:1::1:0', '2001:db8:1::1:3f']], hosts: [['52:54:00:00:00:31', '2001:db8:1::20']] })
  const held = new Map<string, { client: string, number: number }>()
  let [time, number] = [Date.UTC(2030, 0, 1), 0]
  let current = ''
  const fail = (what: string) => { if (failures.length < 10) failures.push(`${what}: ${current}`) }
  const log: Logger = Object.assign(createLogger('silent'), { error: (details: unknown) => { fail(`logged an error ${JSON.stringify(details)}`) } })
  const server = new Server6({
    lulls: { count: 0, heard () { this.count++ }, watch () {} }, // every message comes alone
    memory, log, limits: new Limits(), httpPort: 5248, quarantineSeconds: 600, firmwareSeconds: 120,
    clock: { now: () => time, monotonic: () => time, sleep: () => Promise.resolve() },
    traffic: { received: type => { count(`in ${type}`) }, sent: type => { count(`out ${type}`) }, dropped: reason => { count(`dropped ${reason}`) }, bound: () => {} },
    wishes: {
      ask ({ address, client, seconds }: Wish, settle) {
        if (!Number.isInteger(seconds) || ip6Text(parseIp6(address)) !== address) fail(`a wish that is none for ${address}`)
        const holder = held.get(address)
        const [stored, silence] = [(holder === undefined || holder.client === client) && next(8) > 0, next(16) === 0]
        if (stored) held.set(address, { client, number: ++number })
        settle(silence ? undefined : { stored, expires: null, number: stored ? String(number) : null, reason: null, quiet: next(16) === 0 })
      }
    },
    report (_, { address, client, number }) {
      const holder = held.get(address)
      if (holder?.client === client && (number === null || number === String(holder.number))) held.delete(address)
    }
  })
  for (let message = 0; message < messages; message++) {
    const data = damaged(next)
    current = data.toString('hex')
    time += next(50)
    try {
      server.receive('eth0', data, (reply, port, address) => {
        if (port < 1 || address !== 'fe80::1234:5678:9abc:def0%eth0') fail('a reply to somebody else')
        const { message } = unwrapReply(Buffer.from(reply))
        if (message.type !== 7) return
        const given = iasOf(message.options).flatMap(({ addresses }) => addresses.flatMap(({ address, valid }) => valid > 0 ? [ip6Text(address)] : []))
        if (new Set(given).size < given.length) fail('one address twice in a reply')
        const duid = duidOf(message.options) ?? ''
        for (const address of given) {
          const client = held.get(address)?.client
          if (client === undefined || (client.includes('/') && !client.startsWith(`${duid}/`))) fail(`${address} was promised to ${duid}, and ${client ?? 'nobody'} has it`)
        }
      }, 'fe80::1234:5678:9abc:def0%eth0', 546)
    } catch (error) {
      fail(`threw ${reasonOf(error)}`)
    }
  }
  return { counts, failures }
}
