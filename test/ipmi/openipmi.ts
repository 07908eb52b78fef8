/** OpenIPMI's ipmi_sim: a BMC by somebody else, with a machine whose power is a file. */
import { execFile, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createProber } from '../../ipmi/probe.ts'
import { until } from '../kit/wait.ts'

const run = promisify(execFile)
export const account = { user: 'operator', password: 'sixteen-bytes-ok' } // ipmi_sim has room for 16, and none for spaces
/** As SMBIOS has it: its first three fields little-endian on the wire. */
export const uuid = '4c4c4544-0042-3510-8057-b4c04f4d3132'
const guid = '44454c4c420010358057b4c04f4d3132'

/** Called as `<program> <device> get|set <what> [<value>]`. A machine that lies takes every order and obeys none. */
const chassis = (folder: string): string => `#!/bin/sh
cd ${folder}
shift
operation=$1
shift
if [ "$operation" = get ]; then
  for what in "$@"; do
    case $what in
      power) read value < power; echo "power:$value" ;;
      boot) read value < boot; echo "boot:$value" ;;
      *) echo "$what:0" ;;
    esac
  done
  exit 0
fi
while [ $# -gt 1 ]; do
  case $1 in
    boot) echo $2 > boot ;;
    power|shutdown)
      wanted=$2
      [ $1 = shutdown ] && wanted=0
      read power < power
      if [ ! -e lies ] && [ $power != $wanted ]; then
        echo $wanted > power
        echo $wanted >> switches
        if [ $wanted = 1 ]; then cat boot > booted; echo none > boot; fi
      fi ;;
  esac
  shift 2
done
`
const lan = (folder: string, port: number, kg: string | undefined): string => `name "bedplate"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_callback md5
    allowed_auths_user md5
    allowed_auths_operator md5
    allowed_auths_admin md5
    guid ${guid}
${kg === undefined ? '' : `    bmc_key "${kg}"\n`}  endlan
  chassis_control "${folder}/chassis 0x20"
  user 1 true "" "" user 10 none
  user 2 true "${account.user}" "${account.password}" admin 10 none md2 md5 straight
  user 3 true "guest" "guest" user 10 none md2 md5 straight
`
/** Twice the raw reading, less 50: 0x60 is 142 degrees, above the upper non-critical and below the critical threshold. */
const sensorRecords = `sdr type 1
	sensor_owner_id		0x20
	sensor_owner_lun	0
	channel_number		0
	sensor_number		1
	entity_id		system_board
	entity_instance		1
	sensor_type		Temperature
	init_scanning		true
	init_sensor_type	true
	default_sensor_scan_on	true
	event_reading_type_code	1
	analog_data_format	unsigned
	base_unit		degrees_C
	linearization		linear
	m			2
	b			-50
	sensor_direction	input
	id_string		"MB Temp"
endsdr

sdr type 2
	sensor_owner_id		0x20
	sensor_owner_lun	0
	channel_number		0
	sensor_number		2
	entity_id		memory_module
	entity_instance		1
	sensor_type		Entity_Presence
	event_reading_type_code	0x6f
	id_string		"DIMM 1"
endsdr
`
const text = (value: string): Buffer => Buffer.concat([Buffer.of(0xc0 | value.length), Buffer.from(value)])
function fru (): Buffer {
  const fields = Buffer.concat([Buffer.of(1, 0, 25), ...['ACME', 'Anvil 9', 'PN-1', 'v2', 'SN0042'].map(text), Buffer.of(0xc1)])
  const product = Buffer.concat([fields, Buffer.alloc(8 - fields.length % 8)])
  product[1] = product.length / 8
  const header = Buffer.of(1, 0, 0, 0, 1, 0, 0, 0)
  for (const area of [header, product]) area[area.length - 1] = -area.reduce((sum, byte) => sum + byte, 0) & 0xff
  return Buffer.concat([header, product])
}
const bytes = (data: Buffer): string => [...data].map(byte => `0x${byte.toString(16)}`).join(' ')
const emulation = (): string => `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 1 1 1
sensor_set_threshold 0x20 0 1 settable 111000 0xa0 0x90 0x50 00 00 00
sensor_set_event_support 0x20 0 1 enable scanning per-state 000111111000000 000111111000000 000111111000000 000111111000000
sensor_set_value 0x20 0 1 0x60 0
sensor_add 0x20 0 2 37 0x6f
mc_add_fru_data 0x20 0 ${fru().length} data ${bytes(fru())}
sel_add 0x20 0x02 0x00 0x10 0x27 0x65 0x20 0x00 0x04 0x01 0x01 0x01 0x57 0x60 0x50
sel_add 0x20 0x02 0x10 0x10 0x27 0x65 0x20 0x00 0x04 0x0c 0x07 0x6f 0xa1 0xff 0x03
mc_enable 0x20
`

export interface OpenIpmi {
  readonly port: number
  readonly machine: { state(): 'on' | 'off', set(state: 'on' | 'off'): void, switches(): number, bootedFrom(): 'network' | 'disk' | null }
  lie(): void
  close(): Promise<void>
}

async function freePort (): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

/** Resolves once it answers. `kg`: its key. */
export async function startOpenIpmi ({ kg }: { readonly kg?: string } = {}): Promise<OpenIpmi> {
  const folder = await mkdtemp(join(tmpdir(), 'openipmi-'))
  const port = await freePort()
  const file = (name: string) => join(folder, name)
  await mkdir(file('state/ipmi_sim/bedplate'), { recursive: true })
  await Promise.all([
    writeFile(file('lan.conf'), lan(folder, port, kg)), writeFile(file('emulation'), emulation()), writeFile(file('records'), sensorRecords), writeFile(file('chassis'), chassis(folder), { mode: 0o755 }),
    writeFile(file('power'), '0\n'), writeFile(file('boot'), 'none\n'), writeFile(file('booted'), 'none\n'), writeFile(file('switches'), '')
  ])
  await run('sdrcomp', ['-o', file('state/ipmi_sim/bedplate/sdr.20.main'), file('records')])
  const program = spawn('ipmi_sim', ['-c', file('lan.conf'), '-f', file('emulation'), '-s', file('state'), '-n'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [program.stdout, program.stderr]) stream.on('data', (data: Buffer) => { said += data.toString() })
  const gone = once(program, 'exit')
  const prober = createProber()
  try {
    await until(async () => program.exitCode !== null || (await prober.probe('127.0.0.1', port, { timeout: 200 })).reachable, { what: 'ipmi_sim answers' })
  } finally { await prober.close() }
  if (program.exitCode !== null) throw new Error(`ipmi_sim ended: ${said}`)
  const read = (name: string): string => readFileSync(file(name), 'utf8').trim()
  return {
    port,
    machine: {
      state: () => read('power') === '1' ? 'on' : 'off',
      set: state => { writeFileSync(file('power'), state === 'on' ? '1\n' : '0\n') },
      switches: () => existsSync(file('switches')) ? read('switches').split('\n').filter(line => line !== '').length : 0,
      bootedFrom: () => ({ pxe: 'network', default: 'disk' } as const)[read('booted')] ?? null
    },
    lie: () => { writeFileSync(file('lies'), '') },
    async close () {
      program.kill('SIGKILL')
      await gone
      await rm(folder, { recursive: true, force: true })
    }
  }
}
