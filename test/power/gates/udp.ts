/** A gate for IPMI: a UDP relay, with a socket towards the BMC for each client. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Gate } from './gate.ts'

export async function openUdpGate (host: string, behind: number): Promise<Gate> {
  interface Line { readonly far: Socket, readonly address: string, readonly port: number, readonly pieces: Buffer[], held: boolean }
  const lines = new Map<string, Line>()
  let [near, port] = [createSocket('udp4'), 0]
  async function open (): Promise<void> {
    near = createSocket('udp4')
    near.on('message', (message, { address, port }) => {
      const known = lines.get(`${address}:${port}`)
      const line = known ?? { far: createSocket('udp4'), address, port, pieces: [], held: false }
      if (known === undefined) {
        lines.set(`${address}:${port}`, line)
        line.far.on('message', answer => { if (line.held) line.pieces.push(answer); else near.send(answer, port, address) })
      }
      line.far.send(message, behind, '127.0.0.1')
    })
    near.bind(port, host)
    await once(near, 'listening')
    port = near.address().port
  }
  await open()
  return {
    get port () { return port },
    open,
    hold () { for (const line of lines.values()) line.held = true },
    release () { for (const line of lines.values()) if (line.held) { line.held = false; for (const piece of line.pieces.splice(0)) near.send(piece, line.port, line.address) } },
    async shut () {
      for (const { far } of lines.values()) far.close()
      lines.clear()
      near.close()
      await once(near, 'close')
    }
  }
}
