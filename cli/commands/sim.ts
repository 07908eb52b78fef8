/** `bedplate sim bmc`: BMCs to try things with, without a daemon or hardware. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import { BedplateError } from '../../core/errors.ts'
import { defaultAccount, type Bmc } from '../../sim/bmc/bmc.ts'
import { faultNames, parseFault, type Faults } from '../../sim/bmc/faults.ts'
import { closeFleet, placesFrom, startFleet } from '../../sim/bmc/fleet.ts'
import type { Event } from '../../sim/bmc/model.ts'
import { profiles } from '../../sim/bmc/profiles.ts'
import type { Firmware, Machine } from '../../sim/machine/machine.ts'
import { createNothing } from '../../sim/machine/nothing.ts'
import { createQemu } from '../../sim/machine/qemu.ts'
import { Failure, sentenceOf } from '../failure.ts'
import { table } from '../output.ts'
import type { Noun, Session } from '../session.ts'

interface Options {
  readonly count: number, readonly host: string, readonly ipmiPort: number, readonly redfishPort: number, readonly ipmi: boolean, readonly redfish: boolean, readonly http?: boolean
  readonly profile: string, readonly user: string, readonly password: string, readonly kg?: string, readonly fault?: Partial<Faults>
  readonly machine: 'nothing' | 'qemu', readonly state: 'on' | 'off', readonly delay: number, readonly firmware: Firmware, readonly memory: number, readonly folder?: string, readonly tap?: string
}

const mostVirtual = 64
const whole = (least: number, most: number) => (text: string): number => {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < least || number > most) throw new InvalidArgumentError(`A whole number from ${least} to ${most}.`)
  return number
}
function faultOf (text: string, before: Partial<Faults> = {}): Partial<Faults> {
  try { return { ...before, ...parseFault(text) } } catch (error) { throw new InvalidArgumentError(error instanceof BedplateError ? String(error.details.reason) : sentenceOf(error)) }
}

export const simCommands: Noun = (program, on) => {
  const noun = program.command('sim').description('what there is no hardware for, simulated')
  on<Options>(noun.command('bmc').description('BMCs that speak Redfish and IPMI, until interrupted; needs no daemon')
    .option('--count <number>', 'how many', whole(1, 100_000), 1)
    .option('--host <address>', 'the first one\'s; on 127/8 each further one has the next address, elsewhere the next ports', '127.0.0.1')
    .option('--ipmi-port <port>', 'UDP; 0 for any that is free. Below 1024 it is for root alone', whole(0, 65_535), 623).option('--redfish-port <port>', 'TCP; 0 for any that is free', whole(0, 65_535), 8443)
    .option('--no-ipmi', 'Redfish alone').option('--no-redfish', 'IPMI alone').option('--http', 'Redfish over HTTP instead of HTTPS')
    .addOption(new Option('--profile <name>', 'whose BMCs they are like').choices(profiles.map(({ name }) => name)).default('generic'))
    .option('--user <name>', 'who may log in', defaultAccount.user).option('--password <password>', 'and with what', defaultAccount.password).option('--kg <key>', 'IPMI\'s second key, K_g')
    .option('--fault <name[=value]>', `what is wrong with them; again for each further one: ${faultNames.join(', ')}`, faultOf)
    .addOption(new Option('--machine <kind>', 'what they power').choices(['nothing', 'qemu']).default('nothing'))
    .addOption(new Option('--state <state>', 'machines of nothing: how they begin').choices(['on', 'off']).default('off'))
    .option('--delay <ms>', 'machines of nothing: how long on, off and shutdown each take', whole(0, 3_600_000), 0)
    .addOption(new Option('--firmware <kind>', 'of machines of QEMU').choices(['bios', 'uefi']).default('uefi'))
    .option('--memory <MiB>', 'of each machine of QEMU', whole(64, 1_048_576), 512)
    .option('--folder <path>', 'of QEMU: where disks and consoles are kept; by default they go when it ends')
    .option('--tap <interface>', 'of QEMU: what the first machine is plugged into, tap0, and the next into tap1; by default into nothing'), simulate)
}

async function simulate ({ io: { signal, stdout }, output, options: { output: format } }: Session, _: string[], options: Options): Promise<void> {
  const { count, host, user, password, profile, fault = {}, kg } = options
  if (!options.ipmi && !options.redfish) throw new Failure('With --no-ipmi and --no-redfish nothing is left.', { exitCode: 2 })
  if (options.machine === 'qemu' && count > mostVirtual) throw new Failure(`--machine qemu takes at most --count ${mostVirtual}: each is a process with memory of its own.`, { exitCode: 2 })
  const line = (event: Event): void => { stdout.write(format === 'table' ? `${told(event)}\n` : `${JSON.stringify(event)}\n`) } // one object a line, also for yaml: it is a stream
  const disks = options.machine === 'qemu' && options.folder === undefined ? await mkdtemp(join(tmpdir(), 'bedplate-sim-')) : undefined
  let bmcs: readonly Bmc[] = []
  try {
    const places = placesFrom({ host, ipmi: options.ipmi ? options.ipmiPort : undefined, redfish: options.redfish ? options.redfishPort : undefined }, count)
    const machineOf = (index: number) => machineNamed(`bmc${index + 1}`, index, options, options.folder ?? disks ?? '', text => { output.note(text) })
    bmcs = await startFleet(places, { tls: options.http !== true, profile, account: { user, password }, faults: fault, heard: line, ...kg === undefined ? {} : { kg } }, machineOf)
    stdout.write(format === 'table' ? described(bmcs, options) : bmcs.map(bmc => `${JSON.stringify(summary(bmc))}\n`).join(''))
    if (signal?.aborted !== true) await new Promise<void>(resolve => { signal?.addEventListener('abort', () => { resolve() }, { once: true }) })
  } catch (error) {
    throw failureOf(error)
  } finally {
    await closeFleet(bmcs)
    if (disks !== undefined) await rm(disks, { recursive: true, force: true })
  }
  output.note('Stopped.')
}

async function machineNamed (name: string, index: number, { machine, state, delay, firmware, memory, tap }: Options, folder: string, note: (line: string) => void): Promise<Machine> {
  if (machine === 'nothing') return createNothing({ name, state, delays: { on: delay, off: delay, shutdown: delay } })
  const mac = `52:54:00:b0:${[index >> 8, index & 255].map(byte => byte.toString(16).padStart(2, '0')).join(':')}`
  const plug = tap === undefined ? 'user' : tap.replace(/\d*$/, digits => String(Number(digits) + index))
  return await createQemu({ name, firmware, mac, tap: plug, directory: join(folder, name), memory, diskGiB: 8 }, 'disk', line => { note(`${name}: ${line}`) })
}

const summary = ({ machine: { hardware }, redfish, ipmi }: Bmc) => ({ event: 'started', machine: hardware.name, uuid: hardware.uuid, ...ipmi === undefined ? {} : { ipmi: ipmi.address() }, ...redfish === undefined ? {} : { redfish: redfish.address(0), ...redfish.fingerprint === undefined ? {} : { tls: `sha256:${redfish.fingerprint}` } } })

function described (bmcs: readonly Bmc[], { profile, user }: Options): string {
  const rows = bmcs.map(({ machine, redfish, ipmi }) => [machine.hardware.name, ...[ipmi?.address(), redfish?.address(0)].filter(address => address !== undefined)])
  const [first] = bmcs
  const at = first?.redfish
  const { host = '' } = first ?? {}
  const port = first?.ipmi?.port ?? 623
  return `${table(rows)}\n${[
    `${bmcs.length} ${bmcs.length === 1 ? 'BMC' : 'BMCs'}, profile ${profile}, user ${user}.`,
    ...first?.ipmi === undefined ? [] : [`ipmitool:  ipmitool -I lanplus -H ${host}${port === 623 ? '' : ` -p ${port}`} -U ${user} -a power status`],
    ...at === undefined ? [] : [`Redfish:   curl -k -u ${user} ${at.url}/redfish/v1/Systems/${first?.model.systems[0].id}`, `Faults:    curl -k -X PATCH -d '{"slow": 200}' ${at.url}/bedplate/faults`],
    'Bedplate:  bedplate machine set-power <machine> <one of the addresses above>, and --tls insecure for Redfish over HTTPS', 'Ctrl-C ends it. What happens:'
  ].join('\n')}\n`
}

const from = (device: string | null): string => device === null ? 'in its usual order' : `from ${device}`
function told (event: Event): string {
  switch (event.event) {
    case 'on': return `${event.machine}: on, boots ${from(event.from)}`
    case 'reset': return `${event.machine}: reset, boots ${from(event.from)}`
    case 'off': case 'asked to shut down': return `${event.machine}: ${event.event}`
    case 'next boot': return `${event.machine}: will boot ${from(event.device)}${event.device === null ? '' : `${event.lasting ? ', always' : ', once'}${event.uefi === null ? '' : event.uefi ? ', as UEFI' : ', as BIOS'}`}`
    case 'media': return `${event.machine}: ${event.image === null ? 'the virtual drive is empty' : `in the virtual drive: ${event.image}`}`
  }
}

/** What a socket, or the system, says, in words that help. */
function failureOf (error: unknown): unknown {
  if (error instanceof Failure) return error
  if (error instanceof BedplateError) return new Failure(error.message, { exitCode: error.code === 'OPTION_INVALID' ? 2 : 1, code: error.code })
  const { code = '', address = '', port = '' } = error as { readonly code?: string, readonly address?: string, readonly port?: number }
  const where = `${address}${port === '' ? '' : ` port ${port}`}`
  const why = { EADDRINUSE: 'is taken by another program', EADDRNOTAVAIL: 'is no address of this host', EACCES: 'is for root alone: ports below 1024 are. Give others: --ipmi-port 6230 --redfish-port 8443', EMFILE: 'cannot be opened: too many files are open. Raise "ulimit -n", or start fewer' }[code]
  return why === undefined ? error : new Failure(`${where} ${why}.`)
}
