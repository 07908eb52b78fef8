/** System packages of Debian and Ubuntu: installs what is missing when it may, else says which and how. */
import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { BedplateError } from '../../core/errors.ts'

const run = promisify(execFile)

/** What each part of the tests and the lab stands on. */
export const packages = {
  network: ['iproute2', 'iputils-ping'],
  machines: ['qemu-system-x86', 'qemu-utils', 'ovmf', 'ipxe', 'ipxe-qemu', 'openssh-client'],
  clients: ['busybox-static', 'isc-dhcp-client', 'tftp-hpa', 'atftp', 'curl', 'procps', 'util-linux']
} as const

async function installed (name: string): Promise<boolean> {
  try {
    const { stdout } = await run('dpkg-query', ['-W', '-f', '${db:Status-Status}', name])
    return stdout.trim() === 'installed'
  } catch { return false }
}

function apt (args: readonly string[], say: (line: string) => void): Promise<number> {
  return new Promise(resolve => {
    const child = spawn('apt-get', ['-q', '-y', '-o', 'DPkg::Lock::Timeout=120', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
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
  if (await apt(install, () => {}) === 0) return
  await apt(['update'], say) // lists may be absent or old on a fresh machine: only then is the slow update worth its time
  if (await apt(install, say) !== 0) throw new BedplateError('PROGRAM_MISSING', { program: missing.join(', '), remedy })
}
