/** `virsh`, here or over SSH: which words it is given, and what its refusals mean. */
import { BedplateError } from '../../../../core/errors.ts'
import { findProgram } from '../../../../core/program.ts'
import type { Options } from '../../driver.ts'
import type { Host } from './master.ts'
import { run } from './run.ts'
import { createConnections, quoted } from './ssh.ts'
import { brief } from '../../redact.ts'

/** Runs one command of virsh and gives what it printed. Words are options or UUIDs: a domain's name is never among them. POWER_AUTHENTICATION, POWER_REFUSED, POWER_FAILED, PROGRAM_MISSING. */
export type Virsh = (words: readonly string[], input?: string) => Promise<string>

const install = 'apt install libvirt-clients'

/** `host`: undefined for this rack. `connection`: libvirt's URI. */
export function virshAt (host: Host | undefined, connection: string, options: Options): Virsh {
  return async (words, input) => {
    const args = ['env', 'LC_ALL=C', 'virsh', '--quiet', '--connect', connection, ...words]
    const piped = input === undefined ? '' : 'cat | ' // a program opens what it reads by the name /dev/stdin, which works with a pipe but not with a socket
    const { code, stdout, stderr } = host === undefined
      ? await run('sh', ['-c', `${piped}"$@"`, 'sh', ...args.with(2, await findProgram('virsh', install))], { ...(input === undefined ? {} : { input }), limit: options.pace.request, signal: options.signal })
      : await options.kept.of('virsh', createConnections).exec(host, piped + args.map(quoted).join(' '), input ?? '', options)
    if (code === 0) return stdout
    throw refusal(words[0] ?? '', code, stderr)
  }
}

/** What virsh's complaint means. Pure. */
export function refusal (command: string, code: number, stderr: string): BedplateError {
  const said = brief(stderr.split('\n').map(line => line.replace(/^error: */, '').trim()).filter(Boolean).join('; '))
  if (code === 127 || code === 126) return new BedplateError('POWER_REFUSED', { reason: `virsh cannot be run there (${said}): ${install}` })
  if (/authentication (failed|unavailable|cancelled)|access denied|libvirt.*permission denied/i.test(stderr)) return new BedplateError('POWER_AUTHENTICATION', { reason: `libvirt lets this account do nothing: ${said}. The group libvirt usually may` })
  return new BedplateError('POWER_FAILED', { action: command, reason: `virsh ${command} ended with ${code}: ${said}` })
}
