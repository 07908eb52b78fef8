/** `bedplate machine commission|allocate|deploy|release|…`: a machine's way through its states, and --wait for the end of it. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { Failure, sentenceOf } from '../failure.ts'
import type { Environment, Noun, Session } from '../session.ts'
import { watch } from '../watch.ts'
import { path } from './machine.ts'
import type { Machine } from './machine.ts'

interface Deploy { readonly image: string, readonly sshKey?: string[], readonly userData?: string, readonly hostname?: string, readonly disk?: string, readonly wait?: boolean }

const read = async (file: string): Promise<string> => {
  try { return await readFile(file, 'utf8') } catch (error) { throw new Failure(`${file} cannot be read: ${sentenceOf(error)}`, { exitCode: 2 }) }
}

/** The public keys in those files, or in ~/.ssh/id_*.pub. */
async function publicKeys (files: readonly string[] | undefined, env: Environment): Promise<string[]> {
  const home = env.HOME === undefined || env.HOME === '' ? undefined : join(env.HOME, '.ssh')
  const found = files ?? (home === undefined ? [] : (await readdir(home).catch(() => [])).filter(name => /^id_.*\.pub$/.test(name)).sort().map(name => join(home, name)))
  const keys: string[] = []
  for (const file of found) {
    for (const line of (await read(file)).split('\n').map(text => text.trim()).filter(text => text !== '' && !text.startsWith('#'))) {
      if (line.includes('PRIVATE KEY')) throw new Failure(`${file} is a private key; give the public one, ${file}.pub.`, { exitCode: 2 })
      keys.push(line)
    }
  }
  return keys
}

/** How to log in; nothing when that cannot be told, for the machine is deployed all the same. */
async function tellLogin ({ client, output }: Session, { id, deployment }: Machine): Promise<void> {
  try {
    const [{ user }, [first]] = await Promise.all([client.get<{ readonly user: string }>(`/images/${encodeURIComponent(deployment?.imageId ?? '')}`), client.list<{ readonly address: string }>(`/network/addresses?owner=${encodeURIComponent(id)}`)])
    if (first !== undefined) output.note(`Log in: ssh ${user}@${first.address}`)
  } catch (error) { if (!(error instanceof Failure)) throw error }
}

export const lifecycleCommands: Noun = (program, on) => {
  const noun = program.commands.find(command => command.name() === 'machine') ?? program.command('machine')

  /** Says what was begun, or follows it to its end. */
  const follow = async (session: Session, machine: Machine, wait: boolean | undefined, goal: string): Promise<void> => {
    const end = wait === true ? await watch(session, machine.id, goal) : machine
    session.output.done(`Machine ${end.hostname} is ${end.status}.`, end)
    if (end.status === 'Deployed' && wait === true) await tellLogin(session, end)
  }
  const verb = (name: string, description: string, goal?: string): void => {
    const command: Command = noun.command(name).description(description).argument('<machine>', 'id or hostname')
    if (goal !== undefined) command.option('--wait', `stay until it is ${goal}; fail with the reason if it is not to be`)
    on<{ wait?: boolean }>(command, async (session, [machine = ''], { wait }) => {
      await follow(session, await session.client.send<Machine & { readonly id: string }>('POST', path(machine, `/${name}`), {}), wait, goal ?? '')
    })
  }
  verb('commission', 'find out what a machine is', 'Ready')
  verb('allocate', 'take a Ready machine for yourself')
  verb('release', 'wipe a machine and make it Ready again', 'Ready')
  verb('abort', 'stop what a machine is doing')
  verb('mark-broken', 'take a machine out of use')
  verb('mark-fixed', 'put a broken machine back into use')

  on<Deploy>(noun.command('deploy').description('install an operating system; a Ready machine is allocated first').argument('<machine>', 'id or hostname').requiredOption('--image <image>', 'name or id of an imported image')
    .option('--ssh-key <file...>', 'public keys that may log in; by default ~/.ssh/id_*.pub').option('--user-data <file>', 'cloud-init user data').option('--hostname <name>', 'rename it first').option('--disk <name>', 'target, for example sda; by default the smallest that is large enough')
    .option('--wait', 'stay until it is Deployed; fail with the reason if it is not to be'), async (session, [given = ''], { image, sshKey, userData, hostname, disk, wait }) => {
    const { client, output, env } = session
    const sshKeys = await publicKeys(sshKey, env)
    const body = { image, sshKeys, ...userData === undefined ? {} : { userData: await read(userData) }, ...disk === undefined ? {} : { disk } }
    if (sshKeys.length === 0 && userData === undefined) output.note('No SSH key was found or given: nobody will be able to log in. --ssh-key <file> names one.')
    const { id, status } = await client.get<Machine & { readonly id: string }>(path(given))
    if (hostname !== undefined) await client.send('PATCH', path(id), { hostname })
    if (status === 'Ready') await client.send('POST', path(id, '/allocate'), {})
    await follow(session, await client.send<Machine & { readonly id: string }>('POST', path(id, '/deploy'), body), wait, 'Deployed')
  })
}
