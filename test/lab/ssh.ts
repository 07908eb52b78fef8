/** The user's key of the lab, and a login with it. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export async function createSshKey (directory: string): Promise<{ readonly privateFile: string, readonly publicKey: string }> {
  const privateFile = join(directory, 'id_ed25519')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab-user', '-f', privateFile])
  return { privateFile, publicKey: (await readFile(`${privateFile}.pub`, 'utf8')).trim() }
}

/** Runs `command` on the machine at `address`, whose host keys are known: a machine that shows others is refused. */
export async function sshInto (options: { readonly namespace: string, readonly directory: string, readonly privateFile: string, readonly user: string, readonly address: string, readonly hostKeys: readonly string[], readonly command: string, readonly seconds: number }): Promise<string> {
  const known = join(options.directory, `known-${options.address}`)
  await writeFile(known, options.hostKeys.map(key => `${options.address} ${key}\n`).join(''))
  const args = ['netns', 'exec', options.namespace, 'ssh', '-F', '/dev/null', '-i', options.privateFile, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${known}`, '-o', `ConnectTimeout=${options.seconds}`, `${options.user}@${options.address}`, options.command]
  const { stdout } = await run('ip', args, { timeout: options.seconds * 1000 })
  return stdout
}
