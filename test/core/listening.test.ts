/** Ports and sockets: what is said when one cannot be had. */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { listenAt, nameOf, remedyFor } from '../../core/listening.ts'

const failure = (code: string): Error => Object.assign(new Error(`listen ${code}`), { code })
const port = { host: '::', port: 69 }
const faults: [what: string, error: unknown, where: typeof port | { socket: string }, sentence: string | RegExp][] = [
  ['a port in use', failure('EADDRINUSE'), port, 'Another program holds [::]:69; "ss -lptn" names it. Stop it, or set another port.'],
  ['a privilege', failure('EACCES'), port, /^\[::\]:69 needs a privilege: start as root, or run "setcap cap_net_bind_service=\+ep \/.*node", or set a port above 1023\.$/],
  ['a folder that is closed', failure('EACCES'), { socket: '/run/x.sock' }, 'This user may not make /run/x.sock; set a path in a folder it may write.'],
  ['an address nobody has', failure('EADDRNOTAVAIL'), { host: '192.0.2.1', port: 1 }, 'No interface has the address of 192.0.2.1:1.'],
  ['anything else', failure('EMFILE'), port, 'listen EMFILE']
]
test.each(faults)('%s has its sentence', (_what, error, where, sentence) => {
  if (typeof sentence === 'string') expect(remedyFor(error, where)).toBe(sentence)
  else expect(remedyFor(error, where)).toMatch(sentence)
})

describe('listening', () => {
  /** A server that fails once with that code on `::`, as on a system without IPv6. */
  const failing = (code: string) => {
    const server = createServer()
    const { listen } = server
    const tried: unknown[] = []
    server.listen = ((options: { host: string }, done: () => void) => {
      tried.push(options.host)
      if (options.host === '::') { setImmediate(() => { server.emit('error', failure(code)) }); return server }
      return listen.call(server, options, done)
    }) as typeof server.listen
    return { server, tried }
  }
  test('takes IPv4 alone where there is no IPv6', async () => {
    const { server, tried } = failing('EAFNOSUPPORT')
    await listenAt(server, { host: '::', port: 0 })
    expect([tried, (server.address() as AddressInfo).family]).toEqual([['::', '0.0.0.0'], 'IPv4'])
    await new Promise(resolve => server.close(resolve))
  })
  test('does not hide another fault behind it', async () => {
    const { server, tried } = failing('EADDRINUSE')
    await expect(listenAt(server, { host: '::', port: 0 })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect([tried, server.listenerCount('error')]).toEqual([['::'], 0])
  })
  test('names sockets by their path and IPv6 addresses in brackets', () => {
    expect([nameOf({ socket: '/a' }), nameOf({ host: 'fd00::1', port: 2 }), nameOf({ host: '0.0.0.0', port: 3 })]).toEqual(['/a', '[fd00::1]:2', '0.0.0.0:3'])
  })
})
