/** The process that serves root file systems over iSCSI: a disk that stalls, stalls it and no DHCP packet. Ends when the rack does. */
import { openFile } from '../../../iscsi/disk/file.ts'
import { serve, written } from '../../../iscsi/server.ts'
import type { Address, TargetServer } from '../../../iscsi/server.ts'
import type { Target } from '../../../iscsi/target.ts'
import { serialOf, targetName } from './message.ts'
import type { FromProcess, Root, ToProcess } from './message.ts'

const sectors = 512
let server: TargetServer | undefined
const targets = new Map<string, { readonly path: string, readonly target: Target }>() // by content; the same one stays as it is while it is offered
let last: Promise<unknown> = Promise.resolve()

const say = (message: FromProcess): void => { if (process.connected) process.send?.(message, undefined, undefined, () => {}) } // a rack that is gone hears nothing
const reasonOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

function targetOf ({ sha256, path }: Root): Target {
  openFile(path, { readOnly: true }).close() // what cannot be opened is said now, not to a machine that boots
  return {
    name: targetName(sha256), alias: 'root file system', lingers: true,
    units: new Map([[0, { open: () => openFile(path, { readOnly: true }), shared: true, readOnly: true, blockLength: sectors, serial: serialOf(sha256), thin: false }]])
  }
}

function offer (roots: readonly Root[]): void {
  const named = new Set(roots.map(({ sha256 }) => sha256))
  for (const sha256 of targets.keys()) if (!named.has(sha256)) targets.delete(sha256)
  for (const root of roots) {
    if (targets.get(root.sha256)?.path === root.path) continue
    try {
      targets.set(root.sha256, { path: root.path, target: targetOf(root) })
    } catch (error) {
      targets.delete(root.sha256)
      say({ kind: 'unusable', sha256: root.sha256, reason: reasonOf(error) })
    }
  }
  server?.offer([...targets.values()].map(({ target }) => target))
}

/** On the first of the addresses that can be had: a host without IPv6 has no `::`. */
async function begin (portals: readonly Address[]): Promise<void> {
  let reason = 'there is no address to serve on'
  for (const portal of portals) {
    try {
      server = await serve({
        portals: [portal], told: event => { say({ kind: 'session', event }) },
        log: (level, words, message) => { say({ kind: 'log', level, words: words.err instanceof Error ? { ...words, err: words.err.stack } : words, message }) }
      })
      return
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      reason = code === 'EADDRINUSE' ? `${written(portal)} is taken by another program` : reasonOf(error)
      if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') break
    }
  }
  if (server === undefined) say({ kind: 'refused', reason })
}

async function heed (message: ToProcess): Promise<void> {
  switch (message.kind) {
    case 'serve':
      await begin(message.portals)
      offer(message.roots)
      if (server !== undefined) say({ kind: 'serving', port: server.addresses[0]?.port ?? 0 })
      break
    case 'offer': offer(message.roots); break
    case 'ask': say({ kind: 'alive', number: message.number, sessions: server?.sessions ?? 0 })
  }
}

process.on('message', (message: ToProcess) => { last = last.then(() => heed(message)) })
process.on('disconnect', () => { void last.then(() => server?.close()) }) // and nothing is left that keeps it
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {}) // a terminal's ^C is for the rack, which disconnects in its turn
