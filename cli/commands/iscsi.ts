/** `bedplate iscsi serve`: files as iSCSI disks, without a daemon or a database. */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import type { Credentials } from '../../iscsi/chap.ts'
import { DiskError } from '../../iscsi/disk/disk.ts'
import { openFile } from '../../iscsi/disk/file.ts'
import { openOverlay } from '../../iscsi/disk/overlay.ts'
import { isName } from '../../iscsi/login.ts'
import { serve, written } from '../../iscsi/server.ts'
import type { Address, TargetServer } from '../../iscsi/server.ts'
import type { Target, Unit } from '../../iscsi/target.ts'
import { Failure, sentenceOf } from '../failure.ts'
import { bytes } from '../output.ts'
import type { Noun, Session } from '../session.ts'

type Mode = 'rw' | 'ro' | 'cow'
interface Lun { readonly file: string, readonly mode: Mode }
interface Disk extends Lun { readonly size: number, readonly path: string }
interface Options {
  readonly portal?: readonly Address[], readonly iqn: string, readonly lun: readonly Lun[], readonly initiator?: readonly string[], readonly blockSize: string, readonly overlays?: string
  readonly chapUser?: string, readonly chapSecretFile?: string, readonly mutualUser?: string, readonly mutualSecretFile?: string
}

const modes: Readonly<Record<Mode, string>> = { rw: 'read and write', ro: 'read only', cow: 'what is written is kept for each initiator by itself' }
/** Overlays of a LUN: anybody can call itself by many names. */
const mostOverlays = 1024
/** Bytes of a CHAP secret: RFC 7143 section 9.2.1 asks for 96 bits. */
const shortestSecret = 12

export const iscsiCommands: Noun = (program, on) => {
  const noun = program.command('iscsi').description('disks over the network, by itself')
  on<Options>(noun.command('serve').description('offer files or block devices as an iSCSI target until interrupted; needs no daemon')
    .requiredOption('--iqn <name>', 'name of the target: iqn.2030-01.org.example:disk', nameOf)
    .requiredOption('--lun <file[:ro|:cow]>', 'a disk, the first is LUN 0; ro: read only, cow: each initiator has a copy of its own that begins as the file. Again for each further one', collect(lunOf))
    .option('--portal <address:port>', 'where it listens: 127.0.0.1:3260, which is the default, 0.0.0.0:3260 or [::]:3260 for everybody. Again for each further one', collect(portalOf))
    .option('--initiator <name>', 'only these may log in. Again for each further one', collect(nameOf))
    .addOption(new Option('--block-size <bytes>', 'as initiators see it').choices(['512', '4096']).default('512'))
    .option('--overlays <folder>', 'where cow keeps what is written; by default FILE.overlays')
    .option('--chap-user <name>', 'initiators must prove to be this user').option('--chap-secret-file <file>', 'its secret, the first line of the file')
    .option('--mutual-user <name>', 'the target proves to be this user').option('--mutual-secret-file <file>', 'its secret'), serveUntilInterrupted)
}

/** For an option that may be given several times. */
const collect = <T>(read: (text: string) => T) => (text: string, before: readonly T[] = []): readonly T[] => [...before, read(text)]

function nameOf (text: string): string {
  if (!isName(text)) throw new InvalidArgumentError(`${text} is no iSCSI name. Write it as iqn.2030-01.org.example:disk: a year and month, a domain backwards, and what you like after a colon.`)
  return text.toLowerCase()
}
function lunOf (text: string): Lun {
  const [, file = '', mode = 'rw'] = /^(.+?)(?::(rw|ro|cow))?$/.exec(text) ?? []
  if (file === '') throw new InvalidArgumentError('Write a file, or a file with :ro or :cow after it.')
  return { file, mode: mode as Mode }
}
function portalOf (text: string): Address {
  const [, bracketed, plain, port = '3260'] = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535) throw new InvalidArgumentError(`${text} is no address with a port. Write it as 127.0.0.1:3260 or [::1]:3260.`)
  return { host, port: Number(port) }
}

async function serveUntilInterrupted ({ io: { signal, stdout }, output, options: { output: format } }: Session, _: string[], options: Options): Promise<void> {
  const disks = options.lun.map(diskOf)
  const targets = [targetOf(options, disks)]
  const server = await listen(options.portal ?? [{ host: '127.0.0.1', port: 3260 }], line => { output.note(line) })
  try {
    server.offer(targets)
    const portals = server.addresses.map(written)
    const luns = disks.map(({ path, mode, size }, lun) => ({ lun, file: path, mode, size }))
    if (format === 'table') stdout.write(described(options, portals, disks))
    else output.done('', { target: options.iqn, portals, luns })
    if (signal?.aborted !== true) await new Promise<void>(resolve => { signal?.addEventListener('abort', () => { resolve() }, { once: true }) })
  } finally {
    await server.close()
  }
  output.note('Stopped.')
}

/** The file as it will be opened. Throws a Failure that names it and what is wrong with it. */
function diskOf ({ file, mode }: Lun, lun: number): Disk {
  try {
    const disk = openFile(file, { readOnly: mode !== 'rw' })
    disk.close()
    if (disk.size < 4096) throw new DiskError('it is empty, or too small to be a disk')
    return { file, mode, size: disk.size, path: realpathSync(file) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const why = { ENOENT: 'there is no such file', EACCES: `it may not be ${mode === 'rw' ? 'written; read only: ' + file + ':ro' : 'read'}`, EISDIR: 'it is a folder', EROFS: `its file system is read only; write ${file}:ro` }[code] ?? sentenceOf(error)
    throw new Failure(`LUN ${lun}, ${file}: ${why}.`, { exitCode: 2 })
  }
}

function targetOf (options: Options, disks: readonly Disk[]): Target {
  const chap = proofs(options)
  const units = disks.map((disk, lun): [number, Unit] => [lun, {
    open: initiator => disk.mode === 'cow' ? overlayOf(disk, lun, initiator, options.overlays ?? `${disk.path}.overlays`) : openFile(disk.path, { readOnly: disk.mode === 'ro' }),
    shared: disk.mode !== 'cow', readOnly: disk.mode === 'ro', thin: disk.mode !== 'ro', blockLength: Number(options.blockSize),
    serial: createHash('sha256').update(`${options.iqn} ${lun}`).digest('hex').slice(0, 32)
  }])
  return { name: options.iqn, units: new Map(units), ...options.initiator === undefined ? {} : { initiators: options.initiator }, ...chap === undefined ? {} : { chap } }
}

/** Of one initiator. Throws DiskError when there are too many, or when it belongs to what the file was before. */
function overlayOf ({ path, size }: Disk, lun: number, initiator: string, folder: string): ReturnType<typeof openOverlay> {
  mkdirSync(folder, { recursive: true })
  const name = `${createHash('sha256').update(initiator).digest('hex').slice(0, 32)}-${lun}`
  const others = readdirSync(folder)
  if (!others.includes(name) && others.filter(one => !one.includes('.')).length >= mostOverlays) throw new DiskError(`there are ${mostOverlays} overlays in ${folder} already`)
  const identity = createHash('sha256').update(`${path} ${size} ${statSync(path).mtimeMs}`).digest('hex').slice(0, 16)
  return openOverlay({ base: openFile(path, { readOnly: true }), path: join(folder, name), identity })
}

function proofs ({ chapUser, chapSecretFile, mutualUser, mutualSecretFile }: Options): Target['chap'] {
  const initiator = credentials('chap', chapUser, chapSecretFile)
  const self = credentials('mutual', mutualUser, mutualSecretFile)
  if (initiator === undefined && self !== undefined) throw new Failure('The target proves itself only to initiators that do: give --chap-user and --chap-secret-file, too.', { exitCode: 2 })
  if (initiator !== undefined && initiator.secret === self?.secret) throw new Failure('Initiators and the target have the same secret; anybody who is asked for one could then answer with the other.', { exitCode: 2 })
  return initiator === undefined ? undefined : { initiators: [initiator], ...self === undefined ? {} : { self } }
}

function credentials (kind: 'chap' | 'mutual', name: string | undefined, file: string | undefined): Credentials | undefined {
  if (name === undefined && file === undefined) return undefined
  if (name === undefined || file === undefined) throw new Failure(`--${kind}-user and --${kind}-secret-file belong together.`, { exitCode: 2 })
  let secret: string
  try { secret = readFileSync(file, 'utf8').split(/\r?\n/)[0] ?? '' } catch (error) { throw new Failure(`${file} cannot be read: ${sentenceOf(error)}`, { exitCode: 2 }) }
  if (Buffer.byteLength(secret) < shortestSecret) throw new Failure(`The secret in ${file} is too short: ${shortestSecret} bytes is the least.`, { exitCode: 2 })
  return { name, secret }
}

async function listen (portals: readonly Address[], note: (line: string) => void): Promise<TargetServer> {
  try {
    return await serve({ portals, log: (level, words, message) => { if (level !== 'debug') note(`${message}: ${Object.entries(words).flatMap(([key, value]) => value === undefined ? [] : [`${key} ${value instanceof Error ? value.message : String(value)}`]).join(', ')}`) } })
  } catch (error) {
    const { code = '', address = '', port = '' } = error as { code?: string, address?: string, port?: number }
    const where = address === '' ? portals.map(written).join(', ') : written({ host: address, port: Number(port) })
    throw new Failure({ EADDRINUSE: `${where} is taken by another program.`, EADDRNOTAVAIL: `${where}: this host does not have that address.`, EACCES: `${where}: ports below 1024 are for root alone.`, ENOTFOUND: `${where}: there is no host of that name.` }[code] ?? `${where}: ${sentenceOf(error)}`)
  }
}

function described ({ iqn, chapUser, mutualUser, initiator }: Options, portals: readonly string[], disks: readonly Disk[]): string {
  const [first = ''] = portals
  const at = first.lastIndexOf(':')
  const who = `${initiator === undefined ? 'anybody' : initiator.join(', ')}${chapUser === undefined ? '' : ` who proves to be ${chapUser}`}${mutualUser === undefined ? '' : `; the target proves to be ${mutualUser}`}`
  return `${[
    `Target  ${iqn}`, ...portals.map(portal => `Portal  ${portal}`), ...disks.map(({ path, mode, size }, lun) => `LUN ${lun}   ${path}, ${bytes(size)}, ${modes[mode]}`), `For     ${who}`, '',
    `Linux:  iscsiadm -m discovery -t sendtargets -p ${first} && iscsiadm -m node -T ${iqn} -p ${first} --login`,
    `QEMU:   -drive file=iscsi://${first}/${iqn}/0,format=raw`,
    `iPXE:   sanboot iscsi:${first.slice(0, at)}::${first.slice(at + 1)}:0:${iqn}`, '', 'Ctrl-C ends it.'
  ].join('\n')}\n`
}
