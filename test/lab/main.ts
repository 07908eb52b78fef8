/** `npm run lab`: the main job on one host. Bare virtual machines become servers; see --help. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { passingToken } from '../../cli/session.ts'
import { reasonOf } from '../../core/errors.ts'
import { labImage } from './image.ts'
import { travel, type Journey } from './journey.ts'
import { createLab, type Lab, type Protocol } from './lab.ts'
import { ensurePackages, packages } from './packages.ts'
import { createProgress } from './progress.ts'
import type { Firmware } from '../../sim/machine/machine.ts'

const usage = `npm run lab -- [--machines N] [--firmware bios|uefi|both] [--bmc redfish|ipmi] [--split] [--once] [--keep] [--json] [--port N]

Starts Bedplate on an isolated network, starts virtual machines with simulated BMCs and empty
disks, and takes them from power-off to a login by SSH.

  --machines N   how many machines (default 1; 2 with --firmware both)
  --firmware F   bios, uefi, or both in turn (default bios)
  --bmc B        by which protocol Bedplate powers them: redfish or ipmi (default redfish)
  --split        region and rack as two processes in two namespaces (default: one process)
  --once         end when the machines are there, non-zero if a stage failed
                 (default: the API stays up until Ctrl-C)
  --keep         keep disks, logs and serial consoles afterwards
  --json         one object per machine on standard output
  --port N       where the API is on this host (default 5240, or any free port)
`
const { values } = parseArgs({ options: { machines: { type: 'string' }, firmware: { type: 'string', default: 'bios' }, bmc: { type: 'string', default: 'redfish' }, split: { type: 'boolean', default: false }, once: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, port: { type: 'string', default: '5240' }, help: { type: 'boolean', default: false } } })
if (values.help) { process.stdout.write(usage); process.exit(0) }
const wrong = (text: string) => { process.stderr.write(`${text}\n\n${usage}`); process.exit(2) }
if (!['bios', 'uefi', 'both'].includes(values.firmware)) wrong(`--firmware ${values.firmware}: it is bios, uefi or both.`)
if (values.bmc !== 'redfish' && values.bmc !== 'ipmi') wrong(`--bmc ${values.bmc}: it is redfish or ipmi.`)
const count = Number(values.machines ?? (values.firmware === 'both' ? 2 : 1))
if (!Number.isInteger(count) || count < 1 || count > 32) wrong(`--machines ${values.machines}: a whole number from 1 to 32.`)
const port = Number(values.port)
if (!Number.isInteger(port) || port < 0 || port > 65535) wrong(`--port ${values.port}: a port number.`)
if (process.getuid?.() !== 0) wrong('The lab makes network namespaces and taps: run it as root.')

const firmware = Array.from({ length: count }, (_, index): Firmware => values.firmware === 'both' ? (index % 2 === 0 ? 'bios' : 'uefi') : values.firmware as Firmware)
const progress = createProgress(process.stderr)
const stopping = new AbortController()
let lab: Lab | undefined
let tokenFile: string | undefined // the command line on this host finds it there
let code = 0
let signals = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => { signals++; if (signals > 1) process.exit(130); progress.say('stopping'); stopping.abort() })
const stopped = new Promise<void>(resolve => stopping.signal.addEventListener('abort', () => resolve()))

function tell (journey: Journey): void {
  const { name, firmware, state, stages, os, address } = journey
  if (values.json) process.stdout.write(`${JSON.stringify({ name, firmware, state, stages, os, address, ...(journey.failure ? { failure: journey.failure } : {}) })}\n`)
  const seconds = stages.map(stage => `${stage.stage} ${stage.seconds.toFixed(1)} s`).join(', ')
  if (journey.failure) progress.say(`${name} (${firmware}) FAILED in ${stages.at(-1)?.stage}: ${journey.failure}\n       ${seconds}`)
  else progress.say(`${name} (${firmware}) is ${state}: ${seconds}\n       ssh debian@${address} says:\n${(journey.found ?? '').replace(/^/gm, '         ')}`)
}

try {
  await ensurePackages([...packages.network, ...packages.machines, 'curl'], progress.say)
  const image = await labImage(progress.say)
  lab = await createLab({ firmware, bmc: values.bmc as Protocol, split: values.split, image, apiPort: port, keep: values.keep, say: progress.say, hear: (machine, text) => progress.say(`${machine || 'hypervisor'}: ${text}`) })
  const here = lab
  const journeys = Promise.all(here.machines.map(machine => travel(here, machine, progress.step)))
  const results = await Promise.race([journeys, stopped.then(() => [] as Journey[])])
  progress.end()
  results.forEach(tell)
  if (stopping.signal.aborted || results.some(journey => journey.failure)) code = 1
  if (!values.once && !stopping.signal.aborted) {
    const port = new URL(lab.url).port
    tokenFile = passingToken(process.env, port)
    if (tokenFile !== undefined) {
      await mkdir(dirname(tokenFile), { recursive: true, mode: 0o700 })
      await writeFile(tokenFile, `${lab.token} ${process.pid}\n`, { mode: 0o600 })
    }
    progress.say(`The API is up: ${lab.url} (page: ${lab.url}/api/docs; token: ${lab.token})\n       ${port === '5240' ? '' : `export BEDPLATE_URL=${lab.url}\n       `}bin/bedplate machine list        Ctrl-C ends the lab`)
    await stopped
  }
} catch (error) {
  progress.end()
  process.stderr.write(`The lab could not go on: ${reasonOf(error)}\n`)
  code = 1
} finally {
  progress.end()
  if (tokenFile !== undefined) await rm(tokenFile, { force: true })
  await lab?.stop()
}
process.exit(code)
