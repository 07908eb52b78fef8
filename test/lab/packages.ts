/** System packages of Debian and Ubuntu: installs what is missing when it may, else says which and how. */
import { execFile, spawn } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { BedplateError } from '../../core/errors.ts'

const run = promisify(execFile)

/** What each part of the tests and the lab stands on. */
export const packages = {
  network: ['iproute2', 'iputils-ping'],
  /** Beside `machines`: machines of another architecture, and what cells and their disks are made with. */
  firmware: ['qemu-system-arm', 'qemu-efi-aarch64', 'cpio', 'mtools'],
  machines: ['qemu-system-x86', 'qemu-utils', 'ovmf', 'ipxe', 'ipxe-qemu', 'openssh-client'],
  clients: ['busybox-static', 'isc-dhcp-client', 'isc-dhcp-relay', 'dhcpcd-base', 'systemd', 'tcpdump', 'tftp-hpa', 'atftp', 'curl', 'procps', 'util-linux'],
  database: ['postgresql', 'postgresql-contrib', 'patroni', 'python3-etcd', 'etcd-server', 'etcd-client', 'util-linux'],
  /** What power drivers and simulated BMCs are tried against. */
  power: ['etherwake', 'freeipmi-tools', 'ipmitool', 'libvirt-clients', 'libvirt-daemon', 'libvirt-daemon-driver-qemu', 'openipmi', 'openssh-server', 'python3-proxmoxer', 'python3-requests', 'python3-sushy', 'redfishtool', 'snmpd', 'snmpsim', 'tshark', 'wakeonlan', 'webhook'],
  frontdoor: ['haproxy', 'keepalived', 'curl', 'bind9-dnsutils', 'openssl']
} as const

async function installed (name: string): Promise<boolean> {
  try {
    const { stdout } = await run('dpkg-query', ['-W', '-f', '${db:Status-Status}', name])
    return stdout.trim() === 'installed'
  } catch { return false }
}

function apt (args: readonly string[], say: (line: string) => void): Promise<number> {
  return new Promise(resolve => {
    const child = spawn('apt-get', ['-q', '-y', '-o', 'DPkg::Lock::Timeout=120', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', UCF_FORCE_CONFFOLD: '1' } })
    let last = ''
    const hear = (chunk: Buffer) => { for (const line of chunk.toString().split('\n')) if (line.trim() !== '') last = line.trim() }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', () => resolve(127))
    child.on('close', code => { if (code !== 0) say(`apt-get ${args.join(' ')}: ${last}`); resolve(code ?? 1) })
  })
}

/** Makes sure of `names`. PROGRAM_MISSING, naming them and the command, when they are missing and may not or cannot be installed. */
export async function ensurePackages (names: readonly string[], say: (line: string) => void): Promise<void> {
  const missing: string[] = []
  for (const name of new Set(names)) if (!await installed(name)) missing.push(name)
  if (missing.length === 0) return
  const remedy = `apt-get install ${missing.join(' ')}`
  if (process.getuid?.() !== 0) throw new BedplateError('PROGRAM_MISSING', { program: missing.join(', '), remedy: `as root: ${remedy}` })
  say(`installing ${missing.join(' ')}`)
  const install = ['install', '--no-install-recommends', ...missing]
  await quietly(async () => {
    if (await apt(install, () => {}) === 0) return
    await apt(['update'], say) // lists may be absent or old on a fresh machine: only then is the slow update worth its time
    if (await apt(install, say) !== 0) throw new BedplateError('PROGRAM_MISSING', { program: missing.join(', '), remedy })
  })
}

const mark = '# put here by the tests of Bedplate, for as long as they install packages\n'
/** What keeps a package's own service from being started on the host, and a database cluster from being made there. */
const restraints = [
  { path: '/usr/sbin/policy-rc.d', text: `#!/bin/sh\n${mark}exit 101\n`, mode: 0o755 },
  { path: '/etc/postgresql-common/createcluster.conf', text: `${mark}create_main_cluster = false\n`, mode: 0o644 }
] as const

/** Runs `work` with the restraints in place; whatever of them was there before stays as it was. */
async function quietly (work: () => Promise<void>): Promise<void> {
  for (const { path, text, mode } of restraints) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text, { flag: 'wx', mode }).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'EEXIST') throw error })
  }
  try { await work() } finally {
    // by its text: what a run that was killed left behind goes too, and what a package has put in its place stays
    for (const { path, text } of restraints) if (await readFile(path, 'utf8').catch(() => '') === text) await rm(path, { force: true })
  }
}
