/** A host of virtual machines: a real sshd on loopback with keys of its own, and a real libvirtd of its own, as `nobody` so that it touches nothing of the system's. */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { accepts } from '../../../../core/program.ts'
import { freePort } from '../../../kit/servers.ts'
import { onceEvent, until } from '../../../kit/wait.ts'

const exec = promisify(execFile)
const account = 65534 // nobody

export interface Host {
  readonly port: number // of sshd, on 127.0.0.1
  readonly key: string
  readonly strangersKey: string // one the host does not know
  readonly hostKey: string
  readonly test: string // libvirt's own test driver, in the daemon
  readonly session: string // QEMU, of the daemon's account
  /** virsh on this machine, at the daemon itself. */
  virsh(connection: string, ...words: readonly string[]): string
  /** Turns a fault of the host's virsh on or off: `busy`, `lies`, `dies`. */
  fault(name: 'busy' | 'lies' | 'dies', on?: boolean): Promise<void>
  /** What a name that was run as a command would have left where the host's shell works. */
  injected(): Promise<readonly string[]>
  /** Starts so far, by a start or a create. */
  starts(): Promise<number>
  close(): Promise<void>
}

/** Stands in front of the host's virsh. */
const shim = (folder: string): string => `#!/bin/sh
cd ${folder}
command=$4
[ -e busy ] && { rm busy; echo 'error: Timed out during operation: cannot acquire state change lock' >&2; exit 1; }
case $command in start|create)
  [ -e lies ] && exit 0
  /usr/bin/virsh "$@" || exit
  echo $command >> starts
  if [ -e dies ]; then
    rm dies
    above=$PPID
    until [ "$(ps -o comm= -p $above)" = sshd ]; do above=$(ps -o ppid= -p $above); done
    kill -9 $above # the session of sshd: the start is done, its answer gets lost
  fi
  exit 0;;
esac
exec /usr/bin/virsh "$@"
`

export async function startHost (): Promise<Host> {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-virsh-'))
  const file = (name: string) => join(folder, name)
  await chmod(folder, 0o755)
  for (const name of ['run', 'config', 'cache', 'home']) { await mkdir(file(name)); await chown(file(name), account, account) }
  await mkdir(file('bin'))
  await writeFile(file('bin/virsh'), shim(folder), { mode: 0o755 })
  for (const name of ['host', 'user', 'stranger']) await exec('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(name)])
  const port = await freePort()
  await writeFile(file('sshd_config'), [
    `ListenAddress 127.0.0.1:${port}`, `HostKey ${file('host')}`, `AuthorizedKeysFile ${file('user.pub')}`, 'StrictModes no', 'PermitRootLogin prohibit-password', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no',
    'UsePAM no', 'PidFile none', `SetEnv PATH=${file('bin')}:/usr/sbin:/usr/bin:/sbin:/bin HOME=${file('home')}`
  ].join('\n'))
  await writeFile(file('libvirtd.conf'), 'auth_unix_rw = "none"\n')
  await mkdir('/run/sshd', { recursive: true })

  const programs: ChildProcess[] = []
  const start = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'ignore'] })
    programs.push(child)
    return child
  }
  start('/usr/sbin/sshd', ['-D', '-f', file('sshd_config')])
  start('setpriv', ['--reuid', String(account), '--regid', String(account), '--clear-groups', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', `HOME=${file('home')}`, `XDG_RUNTIME_DIR=${file('run')}`,
    `XDG_CONFIG_HOME=${file('config')}`, `XDG_CACHE_HOME=${file('cache')}`, '/usr/sbin/libvirtd', '-f', file('libvirtd.conf')])
  const socket = file('run/libvirt/libvirt-sock')
  const test = `test+unix:///default?socket=${socket}`
  const session = `qemu+unix:///session?socket=${socket}`
  const virsh = (connection: string, ...words: readonly string[]): string => execFileSync('/usr/bin/virsh', ['-q', '-c', connection, ...words], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  await until(() => existsSync(socket) && virsh(test, 'uri'), { what: 'libvirtd to answer' })
  const holder = start('/usr/bin/virsh', ['-c', test]) // the test driver keeps its state as long as somebody is connected
  holder.stdin?.on('error', () => {})
  await until(() => accepts('127.0.0.1', port)(new AbortController().signal), { what: 'sshd to listen' })
  await until(() => virsh(test, 'list', '--all', '--name'), { what: 'the test driver to have its domain' })
  await writeFile(file('domain.xml'), virsh(test, 'dumpxml', '--inactive', 'test').replace('<boot dev=\'hd\'/>', '<boot dev=\'cdrom\'/>')) // so that neither device asked for is the usual one
  virsh(test, 'define', file('domain.xml'))
  const text = async (name: string) => (await readFile(file(name), 'utf8')).trim()
  return {
    port, key: await text('user'), strangersKey: await text('stranger'), hostKey: await text('host.pub'), test, session, virsh,
    async fault (name, on = true) { if (on) await writeFile(file(name), ''); else await rm(file(name), { force: true }) },
    injected: async () => [...await readdir(file('home')), ...await readdir('/root').catch(() => []), ...await readdir(folder)].filter(name => name.includes('injected')),
    starts: async () => existsSync(file('starts')) ? (await text('starts')).split('\n').filter(Boolean).length : 0,
    async close () {
      for (const line of virsh(session, 'list', '--uuid').split('\n').filter(Boolean)) virsh(session, 'destroy', line)
      await Promise.all(programs.map(program => { if (program.exitCode !== null || program.signalCode !== null) return undefined; const ended = onceEvent(program, 'exit'); program.kill(); return ended }))
      await rm(folder, { recursive: true, force: true })
    }
  }
}
