/** SNMP agents by others: net-snmp's snmpd, whose objects a shell script keeps, and snmpsim, which keeps them itself. Both on loopback. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requirePrograms } from '../../../../kit/network.ts'
import { until } from '../../../../kit/wait.ts'

export interface Agent { readonly port: number, readonly folder: string, close(): Promise<void> }
export const accounts = {
  community: 'write-&?%é', readOnly: 'read-only',
  user: 'bedplate', authPassword: 'authentic/&?%words', privPassword: 'private-words'
}

async function freePort (): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>(resolve => { socket.close(() => { resolve() }) })
  return port
}

/** Runs a program until it says `ready`, and gives how to end it. */
async function run (command: readonly string[], folder: string, ready: RegExp): Promise<() => Promise<void>> {
  const [program = '', ...args] = command
  const child: ChildProcess = spawn(program, args, { env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, SNMP_PERSISTENT_DIR: folder, MIBS: '' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part: Buffer) => { said += part.toString() })
  const ended = once(child, 'exit')
  await until(() => { if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`); return ready.test(said) }, { what: `${program} answers` }).catch((error: unknown) => { child.kill('SIGKILL'); throw new Error(`${String(error)}\n${said}`) })
  return async () => { child.kill('SIGKILL'); await ended; await rm(folder, { recursive: true, force: true }) }
}

/** snmpd with versions 1, 2c and 3, and outlets 1 to 4. */
export async function startSnmpd (): Promise<Agent> {
  requirePrograms({ snmpd: 'snmpd' })
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-snmpd-'))
  const port = await freePort()
  await writeFile(join(folder, 'snmpd.conf'), [
    `agentAddress udp:127.0.0.1:${port}`,
    `rwcommunity "${accounts.community}" 127.0.0.1`, `rocommunity ${accounts.readOnly} 127.0.0.1`,
    `createUser ${accounts.user} SHA "${accounts.authPassword}" AES "${accounts.privPassword}"`, `rwuser ${accounts.user} auth`,
    `createUser modern SHA-256 "${accounts.authPassword}" AES "${accounts.privPassword}"`, 'rwuser modern priv',
    `pass_persist .1.3.6.1.4.1.318 /bin/sh ${join(import.meta.dirname, 'outlets.sh')} ${folder}`, ''].join('\n'))
  const end = await run(['snmpd', '-f', '-C', '-c', join(folder, 'snmpd.conf'), '-Lo', '-p', join(folder, 'pid'), '-I', 'pass_persist,usmUser,vacm_conf,snmpEngine,usmConf'], folder, /NET-SNMP version/)
  return { port, folder, close: end }
}

/** The outlets behind snmpd. */
export const outletsIn = (folder: string) => ({
  state: (outlet: number) => readFileSync(join(folder, `outlet.${outlet}`), 'utf8').trim() === 'on' ? 'on' as const : 'off' as const,
  set: (outlet: number, state: 'on' | 'off') => { writeFileSync(join(folder, `outlet.${outlet}`), `${state}\n`) },
  switches: () => existsSync(join(folder, 'switches')) ? readFileSync(join(folder, 'switches'), 'utf8').split('\n').filter(Boolean) : [],
  wish: (what: 'lie' | 'broken') => { writeFileSync(join(folder, what), '') },
  /** All off, of a PDU with these MIBs. */
  reset (...mibs: readonly string[]) {
    for (const name of ['lie', 'broken', 'switches']) rmSync(join(folder, name), { force: true })
    for (const outlet of [1, 2, 3, 4]) this.set(outlet, 'off')
    writeFileSync(join(folder, 'mib'), `${mibs.join('\n')}\n`)
  }
})

/** snmpsim with a MasterSwitch of two outlets, both off; it keeps what is written. Community and version 3 context are `pdu`. */
export async function startSnmpsim (): Promise<Agent> {
  requirePrograms({ snmpsimd: 'snmpsim' })
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-snmpsim-'))
  for (const part of ['data', 'cache']) await mkdir(join(folder, part))
  await writeFile(join(folder, 'data', 'pdu.snmprec'), [1, 2].map(outlet => `1.3.6.1.4.1.318.1.1.4.4.2.1.3.${outlet}|2:writecache|value=2\n`).join(''))
  for (const part of ['', 'data', 'cache']) await chmod(join(folder, part), 0o777) // it gives root away
  const port = await freePort()
  const privileges = process.getuid?.() === 0 ? ['--process-user=nobody', '--process-group=nogroup'] : []
  const end = await run(['snmpsimd', `--data-dir=${join(folder, 'data')}`, `--cache-dir=${join(folder, 'cache')}`, `--agent-udpv4-endpoint=127.0.0.1:${port}`, '--logging-method=stdout', ...privileges], folder, /Listening at UDP\/IPv4 endpoint/)
  return { port, folder, close: end }
}
