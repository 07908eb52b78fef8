/** The IPMI service's socket, and the faults a network has. */
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { guidOf } from '../../../ipmi/commands/device.ts'
import { lost, takes } from '../faults.ts'
import type { Model } from '../model.ts'
import { createBootOptions } from './boot.ts'
import { decide, type Station } from './decide.ts'
import { createIpmiSessions, type IpmiSessions } from './sessions.ts'

export interface IpmiService { readonly host: string, readonly port: number, readonly sessions: IpmiSessions, close(): Promise<void> }

/** Resolves once it listens; rejects with what the socket says (EADDRINUSE and the like). `kg`: up to 20 bytes. */
export async function startIpmi (model: Model, host: string, port: number, kg?: Buffer): Promise<IpmiService> {
  const { faults, profile, systems: [system] } = model
  const sessions = createIpmiSessions(profile.ipmi.sessions)
  const boot = createBootOptions(system)
  const station: Station = { model, sessions, boot, guid: guidOf(system.machine.hardware.uuid, profile.ipmi.guid), host, kg, kgSet: kg !== undefined }
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const later = new Set<NodeJS.Timeout>()

  socket.on('message', (datagram, { address, port: from }) => {
    if (lost(faults) || takes(faults, 'hangsUp')) return
    const answer = decide(station, datagram)
    if (answer === undefined || lost(faults)) return
    const bytes = faults.garbage ? randomBytes(answer.length) : answer
    const send = (): void => { socket.send(bytes, from, address, () => {}) } // who asked may be gone
    if (faults.slow <= 0) { send(); return }
    const timer = setTimeout(() => { later.delete(timer); send() }, faults.slow)
    later.add(timer)
  })
  try {
    await new Promise<void>((resolve, reject) => { socket.once('error', reject); socket.bind({ port, address: host, exclusive: true }, () => { socket.off('error', reject); resolve() }) })
  } catch (error) { socket.close(); throw error }
  socket.on('error', () => {}) // a datagram that could not be sent
  return {
    host, port: socket.address().port, sessions,
    close: () => new Promise(resolve => { for (const timer of later) clearTimeout(timer); boot.close(); socket.close(() => { resolve() }) })
  }
}
