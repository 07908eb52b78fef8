/** Asks thousands of BMCs from one process: one socket for each address family, one timer, sessions kept and used again. */
import { randomFillSync } from 'node:crypto'
import type { Command } from '../commands/command.ts'
import { getDeviceId } from '../commands/device.ts'
import { createDeadlines } from '../deadlines.ts'
import { IpmiError } from '../error.ts'
import { authType } from '../lan15.ts'
import { payloadType } from '../lanplus.ts'
import { canonical, resolveHost } from '../resolve.ts'
import { classOf } from '../rmcp.ts'
import { udpTransport, type OpenTransport } from '../transport.ts'
import { Bmc, type Surroundings } from './bmc.ts'
import { createJob, type RequestOptions } from './job.ts'
import { isAddress, keyOf, termsOf, type Target } from './terms.ts'

export interface ClientOptions {
  readonly transport?: OpenTransport
  /** How many sessions may be open, over all BMCs: the one that was used longest ago is closed for a new one. */
  readonly sessions?: number
  /** How long, in ms, a session nobody uses is kept, and after which silence the BMC hears something so that it keeps it, too: it drops sessions after 60 s (section 6.12.15). */
  readonly keep?: number
  readonly silence?: number
}
export interface Client {
  /** Opens a session where there is none. IpmiError. */
  request<Q, A>(target: Target, command: Command<Q, A>, value: Q, options?: RequestOptions): Promise<A>
  /** How many sessions are open. */
  readonly sessions: number
  /** How many BMCs are known, as users and with settings: each is forgotten when nobody asked it for as long as a session is kept, whether it ever answered or not. */
  readonly bmcs: number
  /** Closes all sessions; whoever still waits gets an IpmiError `aborted`. */
  close(): Promise<void>
}

/** Random bytes out of a pool: asking the system for 16 at a time costs ten times as much. */
function createRandom (): (bytes: number) => Buffer {
  const pool = Buffer.alloc(4096)
  let at = pool.length
  return bytes => {
    if (at + bytes > pool.length) { randomFillSync(pool); at = 0 }
    const taken = Buffer.from(pool.subarray(at, at + bytes)) // a copy: the pool is filled anew
    at += bytes
    return taken
  }
}

export function createClient ({ transport: open = udpTransport, sessions: most = 8192, keep = 180_000, silence = 40_000 }: ClientOptions = {}): Client {
  const bmcs = new Map<string, Bmc>()
  const byId = new Map<number, Bmc>()
  const at = new Map<string, Set<Bmc>>() // those an address may speak for by IPMI 1.5, whose packets do not say which
  const live = new Set<Bmc>() // with a session, the one used longest ago first
  const deadlines = createDeadlines()
  const random = createRandom()
  const now = (): number => performance.now()
  const sweepEvery = Math.min(silence, keep) / 8
  let closed = false
  let sweeper: NodeJS.Timeout | undefined

  const transport = open((datagram, address, port) => {
    if (classOf(datagram) !== 'ipmi' || datagram.length < 16) return
    if (datagram[4] === authType.plus) {
      const type = (datagram[5] ?? 0) & 0x3f
      const session = datagram.readUInt32LE(6)
      // Outside a session the number is in the payload.
      const id = session !== 0 ? session : type !== payloadType.ipmi && datagram.length >= 24 ? datagram.readUInt32LE(20) : 0
      const bmc = byId.get(id)
      if (bmc !== undefined && bmc.address === address && bmc.terms.port === port) bmc.take(datagram)
      if (session !== 0 || bmc !== undefined) return // else a refusal that does not say of what
    }
    const here = at.get(`${address} ${port}`)
    if (here !== undefined) for (const bmc of [...here]) bmc.take(datagram)
  })

  const leave = (bmc: Bmc): void => {
    const key = `${bmc.address} ${bmc.terms.port}`
    const here = at.get(key)
    here?.delete(bmc)
    if (here?.size === 0) at.delete(key)
  }
  const around: Surroundings = {
    now, after: deadlines.after, random,
    send: (datagram, address, port) => { if (!closed) transport.send(datagram, address, port) },
    resolve: host => isAddress(host) ? canonical(host) : resolveHost(host),
    register (bmc) {
      for (;;) {
        const id = random(4).readUInt32LE()
        if (id === 0 || byId.has(id)) continue
        byId.set(id, bmc)
        const key = `${bmc.address} ${bmc.terms.port}`
        at.set(key, (at.get(key) ?? new Set()).add(bmc))
        return id
      }
    },
    release (id) {
      const bmc = byId.get(id)
      if (bmc === undefined) return
      byId.delete(id)
      if (bmc.session?.version !== '1.5') leave(bmc)
    },
    opened (bmc) {
      live.delete(bmc)
      for (const oldest of live) {
        if (live.size < most) break
        if (!oldest.busy) oldest.close()
      }
      live.add(bmc)
    },
    used (bmc) { if (live.delete(bmc)) live.add(bmc) },
    ended (bmc) { live.delete(bmc); leave(bmc) }
  }

  const sweep = (): void => {
    const time = now()
    for (const [key, bmc] of bmcs) {
      if (bmc.busy) continue
      if (time - bmc.lastUsed > keep) { bmc.close(); bmcs.delete(key) }
      else if (bmc.session !== undefined && time - bmc.lastHeard > silence) {
        const { lastUsed } = bmc
        const { job, answer } = createJob(getDeviceId, undefined, { timeout: sweepEvery }, time)
        answer.catch(() => undefined) // the next command opens a session of its own
        bmc.add(job)
        bmc.lastUsed = lastUsed
      }
    }
    if (bmcs.size === 0) { clearInterval(sweeper); sweeper = undefined }
  }

  return {
    get sessions () { return live.size },
    get bmcs () { return bmcs.size },
    async request (target, command, value, options = {}) {
      if (closed) throw new IpmiError('aborted', 'the client is closed')
      const key = keyOf(target)
      let bmc = bmcs.get(key)
      if (bmc === undefined) bmcs.set(key, bmc = new Bmc(target.host, termsOf(target), around))
      sweeper ??= setInterval(sweep, sweepEvery).unref()
      const { job, answer } = createJob(command, value, options, now())
      if (!job.over) bmc.add(job)
      return await answer
    },
    async close () {
      if (closed) return
      for (const bmc of bmcs.values()) bmc.close(new IpmiError('aborted', 'the client was closed'))
      closed = true
      bmcs.clear()
      clearInterval(sweeper)
      deadlines.clear()
      await transport.close()
    }
  }
}
