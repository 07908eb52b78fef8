/** Where the iSCSI bench measures: a file in memory, served by ours and by tgt on core 0, and the client on core 1. */
import { execFile, spawn } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { scratch } from '../../test/kit/scratch.ts'
import { until } from '../../test/kit/wait.ts'

const run = promisify(execFile)

/** Something that serves the file. */
export interface Server { readonly host: string, readonly port: number, readonly target: string, readonly lun: number, readonly pid: number, end(): Promise<void> }
export interface Place { readonly folder: string, readonly file: string, readonly size: number, readonly program: string, readonly ours: Server, readonly tgt: Server }

const size = 1 << 30 // bytes, every one of them written: a hole would be read from no page
const target = 'iqn.2030-01.org.example:bench'

export async function openPlace (say: (line: string) => void): Promise<Place> {
  const folder = await mkdtemp(join(scratch(), 'bedplate-bench-'))
  const ending: Server[] = []
  try {
    const [program, file] = [join(folder, 'iscsiload'), join(folder, 'disk')]
    await run('gcc', ['-O2', '-o', program, join(import.meta.dirname, 'iscsiload.c')])
    say('writing a disk of 1 GiB')
    fill(file)
    const ours = await startOurs(file)
    ending.push(ours)
    const tgt = await startTgt(file)
    return { folder, file, size, program, ours, tgt }
  } catch (error) {
    for (const server of ending) await server.end()
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}
export async function closePlace ({ folder, ours, tgt }: Place): Promise<void> {
  await ours.end()
  await tgt.end()
  await rm(folder, { recursive: true, force: true })
}

function fill (file: string): void {
  const piece = Buffer.alloc(16 << 20)
  const descriptor = openSync(file, 'w')
  try { for (let at = 0; at < size; at += piece.length) writeSync(descriptor, randomFillSync(piece)) } finally { closeSync(descriptor) }
}

const freePort = (): Promise<number> => new Promise((resolve, reject) => {
  const server = createServer()
  server.once('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const bound = server.address()
    server.close(() => { resolve(typeof bound === 'object' && bound !== null ? bound.port : 0) })
  })
})
const listens = (port: number) => (): Promise<boolean> => new Promise(resolve => {
  const socket = connect({ host: '127.0.0.1', port })
  const answer = (yes: boolean): void => { socket.destroy(); resolve(yes) }
  socket.once('connect', () => { answer(true) })
  socket.once('error', () => { answer(false) })
})

/** A server in the foreground on core 0. Rejects when it does not listen within half a minute. */
async function start (command: string, args: readonly string[], port: number, signal: NodeJS.Signals, lun: number): Promise<Server> {
  const child = spawn('taskset', ['-c', '0', command, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', chunk => { said = `${said}${String(chunk)}`.slice(-2000) })
  let gone = false
  const ended = new Promise<void>(resolve => { child.once('close', () => { gone = true; resolve() }) })
  child.once('error', error => { said += error.message })
  const end = async (): Promise<void> => { child.kill(signal); await ended }
  try {
    await until(() => { if (gone) throw new TypeError(`${command} ended: ${said}`); return listens(port)() }, { timeout: 30_000, interval: 50, what: `${command} to listen` })
  } catch (error) { if (!gone) await end(); throw error }
  return { host: '127.0.0.1', port, target, lun, pid: child.pid ?? 0, end } // taskset becomes the program
}

async function startOurs (file: string): Promise<Server> {
  const port = await freePort()
  return start(process.execPath, [join(import.meta.dirname, '../../core/main.ts'), 'iscsi', 'serve', '--portal', `127.0.0.1:${port}`, '--iqn', target, '--lun', file], port, 'SIGINT', 0)
}

/** A control port of its own, so that a tgtd of the host is left alone. Once it has a target it ignores SIGTERM. */
async function startTgt (file: string): Promise<Server> {
  const port = await freePort()
  const control = String(process.pid % 30_000 + 1)
  mkdirSync('/var/run/tgtd', { recursive: true })
  const server = await start('tgtd', ['-f', '-C', control, '--iscsi', `portal=127.0.0.1:${port}`], port, 'SIGKILL', 1)
  const tgtadm = (...args: string[]): Promise<unknown> => run('tgtadm', ['-C', control, '--lld', 'iscsi', ...args])
  try {
    await tgtadm('--op', 'new', '--mode', 'target', '--tid', '1', '-T', target)
    await tgtadm('--op', 'new', '--mode', 'logicalunit', '--tid', '1', '--lun', '1', '-b', file, '--bstype', 'rdwr')
    await tgtadm('--op', 'bind', '--mode', 'target', '--tid', '1', '-I', 'ALL')
  } catch (error) { await server.end(); throw error }
  return server
}
