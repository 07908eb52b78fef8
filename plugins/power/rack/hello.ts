/** Says hello to a BMC, without credentials, and hears whether it answers. */
import { BlockList, connect, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createProber } from '../../../ipmi/probe.ts'
import type { Endpoint } from '../driver.ts'
import type { Kept } from '../kept.ts'
import type { Look } from './reaching.ts'

export type Hello = (endpoint: Endpoint, signal: AbortSignal) => Promise<Look>

const within = 3_000 // ms
const nothing: Look = { reachable: false, rtt: null }

/** Never fails. The prober is one of the rack's things, closed with it. */
export const createHello = (kept: Kept): Hello => async ({ by, host, port }, signal) => {
  if (by === 'tcp') return await tcp(host, port, signal)
  if (by === 'broadcast') return { reachable: isNear(host), rtt: null }
  const { reachable, rtt } = await kept.of('reach.prober', createProber).probe(host, port, { timeout: within, signal })
  return { reachable, rtt }
}

/** Connects and closes: a refusal comes from the BMC's host, but nothing serves it there. */
const tcp = (host: string, port: number, signal: AbortSignal): Promise<Look> => new Promise(resolve => {
  const began = performance.now()
  const socket = connect({ host, port })
  const end = (look: Look): void => {
    signal.removeEventListener('abort', give)
    socket.destroy()
    resolve(look)
  }
  const give = (): void => { end(nothing) }
  socket.setTimeout(within, give)
  socket.once('connect', () => { end({ reachable: true, rtt: performance.now() - began }) })
  socket.once('error', give)
  if (signal.aborted) give()
  else signal.addEventListener('abort', give, { once: true })
})

/** Whether an interface of this host is in the network of that address, so that a broadcast to it is heard there. Of what is everywhere's: whether there is any interface. */
export function isNear (address: string, interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces()): boolean {
  const own = Object.values(interfaces).flatMap(list => list ?? []).filter(one => !one.internal)
  if (address === '255.255.255.255') return own.some(one => one.family === 'IPv4')
  const family = isIP(address)
  return family !== 0 && own.some(({ cidr, family: kind }) => {
    const [network, bits] = cidr?.split('/') ?? []
    if (network === undefined || isIP(network) !== family) return false
    const list = new BlockList()
    list.addSubnet(network, Number(bits), kind === 'IPv4' ? 'ipv4' : 'ipv6')
    return list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  })
}
