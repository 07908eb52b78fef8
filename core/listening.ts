/** Opening a TCP port or a unix socket: the fallback where there is no IPv6, and what to do when it cannot be had. */
import type { Server } from 'node:net'
import { reasonOf } from './errors.ts'

export type Where = { readonly host: string, readonly port: number } | { readonly socket: string }

/** `[::1]:5240`, or the socket's path. */
export const nameOf = (where: Where): string => 'socket' in where ? where.socket : `${where.host.includes(':') ? `[${where.host}]` : where.host}:${where.port}`

/** Resolves once the server listens; rejects with Node's error. */
export async function listenAt (server: Server, where: Where): Promise<void> {
  const attempt = (options: object) => new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => { server.off('error', reject); resolve() })
  })
  if ('socket' in where) return attempt({ path: where.socket })
  try { await attempt({ host: where.host, port: where.port }) } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (where.host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error
    await attempt({ host: '0.0.0.0', port: where.port }) // no IPv6 on this system
  }
}

/** What to do about an error of `listenAt`. */
export function remedyFor (error: unknown, where: Where): string {
  const shown = nameOf(where)
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE': return `Another program holds ${shown}; "ss -lptn" names it. Stop it, or set another port.`
    case 'EACCES': return 'socket' in where ? `This user may not make ${shown}; set a path in a folder it may write.` : `${shown} needs a privilege: start as root, or run "setcap cap_net_bind_service=+ep ${process.execPath}", or set a port above 1023.`
    case 'EADDRNOTAVAIL': return `No interface has the address of ${shown}.`
    default: return reasonOf(error)
  }
}
