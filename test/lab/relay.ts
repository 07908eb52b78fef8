/** The API of a daemon inside a namespace, on this host's loopback: TCP on one side, the daemon's unix socket on the other. */
import { createConnection, createServer, type AddressInfo, type Server } from 'node:net'

/** Listens on 127.0.0.1 at `port`, or at any free port when that one is taken. */
export async function createRelay (path: string, port: number): Promise<{ readonly url: string, close(): Promise<void> }> {
  const open = new Set<{ destroy(): unknown }>()
  const server: Server = createServer(near => {
    const far = createConnection(path)
    for (const socket of [near, far]) { open.add(socket); socket.on('close', () => open.delete(socket)) }
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
    near.pipe(far).pipe(near)
  })
  const listen = (wanted: number) => new Promise<void>((resolve, reject) => { server.once('error', reject); server.listen(wanted, '127.0.0.1', () => { server.off('error', reject); resolve() }) })
  await listen(port).catch(error => (error as NodeJS.ErrnoException).code === 'EADDRINUSE' && port !== 0 ? listen(0) : Promise.reject(error))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise(resolve => { server.close(() => resolve()); for (const socket of open) socket.destroy() })
  }
}
