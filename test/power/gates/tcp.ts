/** A gate for Redfish: a TCP relay. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Gate } from './gate.ts'

/** `heard`: what a client sends, piece by piece; true to hold back the answers on that connection. */
export async function openTcpGate (host: string, behind: number, heard: (said: string) => boolean): Promise<Gate> {
  interface Line { readonly near: Socket, readonly pieces: Buffer[], held: boolean }
  const lines = new Set<Line>()
  let port = 0
  const server = createServer(near => {
    const far = connect(behind, '127.0.0.1')
    const line: Line = { near, pieces: [], held: false }
    lines.add(line)
    near.on('data', piece => { if (heard(piece.toString('latin1'))) line.held = true; far.write(piece) })
    far.on('data', piece => { if (line.held) line.pieces.push(piece); else near.write(piece) })
    for (const [a, b] of [[near, far], [far, near]] as const) { a.on('error', () => { b.destroy() }); a.on('close', () => { lines.delete(line); b.destroy() }) }
  })
  const open = (): Promise<void> => new Promise(resolve => { server.listen(port, host, () => { port = (server.address() as AddressInfo).port; resolve() }) })
  await open()
  return {
    get port () { return port },
    open,
    hold () { for (const line of lines) line.held = true },
    release () { for (const line of lines) if (line.held) { line.held = false; for (const piece of line.pieces.splice(0)) line.near.write(piece) } },
    async shut () { for (const { near } of lines) near.destroy(); await new Promise(resolve => { server.close(resolve) }) }
  }
}
