/** Broadcasts one datagram: out of every interface, or towards one network's broadcast address. */
import { createSocket } from 'node:dgram'
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'
import { BedplateError, reasonOf } from '../../../../core/errors.ts'

/** The broadcast address that leaves every interface. */
export const everywhere = '255.255.255.255'
const copies = 3 // a lost one is not noticed, and a machine that runs is woken by none

/** The IPv4 addresses to send from, one for each interface that is not loopback. Pure. */
export function sources (interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>): readonly string[] {
  return Object.values(interfaces).flatMap(all => {
    const own = all?.find(({ family, internal }) => family === 'IPv4' && !internal)
    return own === undefined ? [] : [own.address]
  })
}

/**
 * Sends it `copies` times and gives the addresses it left from. To `everywhere` there is one socket for each interface, bound to the interface's address: that is how Linux is told which way a
 * limited broadcast goes, else it takes the default route only. Any other address finds its own way. The signal is asked before each copy: it may know that it is over before it tells. POWER_FAILED when it did not leave
 * everywhere in time, or nowhere.
 */
export async function broadcast (data: Uint8Array, address: string, port: number, signal: AbortSignal): Promise<readonly string[]> {
  const from = address === everywhere ? sources(networkInterfaces()) : [undefined]
  if (from.length === 0) throw new BedplateError('POWER_FAILED', { action: 'on', reason: 'the rack has no interface with an IPv4 address to send a magic packet from' })
  const sent = await Promise.allSettled(from.map(source => sendFrom(source, data, address, port, signal)))
  const left = sent.flatMap(one => one.status === 'fulfilled' ? [one.value] : [])
  const failure = sent.find(one => one.status === 'rejected')
  if (failure?.reason instanceof BedplateError) throw failure.reason
  if (left.length === 0) throw new BedplateError('POWER_FAILED', { action: 'on', reason: `the magic packet could not be sent to ${address}: ${reasonOf(failure?.reason)}` })
  return left
}

async function sendFrom (source: string | undefined, data: Uint8Array, address: string, port: number, signal: AbortSignal): Promise<string> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind({ ...(source === undefined ? {} : { address: source }), port: 0, exclusive: true }, () => { socket.off('error', reject); resolve() })
    })
    socket.on('error', () => {}) // what goes wrong later was told to the sending it belongs to
    socket.setBroadcast(true)
    for (let copy = 0; copy < copies; copy++) {
      if (signal.aborted) throw new BedplateError('POWER_FAILED', { action: 'on', reason: `the time for it was over before ${copy === 0 ? 'the' : 'every copy of the'} packet was sent` })
      await new Promise<void>((resolve, reject) => { socket.send(data, port, address, error => { if (error) reject(error); else resolve() }) })
    }
    return source ?? 'the address its route has'
  } finally {
    socket.close()
  }
}
