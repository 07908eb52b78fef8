/** From what a machine's tools printed to an inventory. Everything in it came from outside: what cannot be read is left out. Pure. */
import { isIPv4 } from 'node:net'
import type { Disk, Inventory } from '../machines/manifest.ts'

type Files = Readonly<Record<string, string>>
type Json = Readonly<Record<string, unknown>>
export interface Found { readonly inventory: Inventory, readonly bootMac: string }

const most = 256 // interfaces, disks, lines of DMI: no real machine has more, and a hostile one shall not fill the database
/** Of one interface: no group address (an odd first byte), and below not all zeros. */
const macPattern = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/
const isMac = (mac: string): boolean => macPattern.test(mac) && mac !== '00:00:00:00:00:00'
const architectures = new Map([['x86_64', 'amd64'], ['aarch64', 'arm64'], ['ppc64le', 'ppc64el'], ['s390x', 's390x'], ['i686', 'i386'], ['riscv64', 'riscv64']])
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
function json (text: string | undefined): Json {
  try {
    const value: unknown = JSON.parse(text ?? '')
    return isObject(value) ? value : {}
  } catch { return {} }
}
const list = (value: unknown): Json[] => Array.isArray(value) ? value.filter(isObject) : []
/** One line of at most 200 characters that a database takes: JSON escapes can hold NUL and halves of characters. */
const line = (value: string): string => value.replace(/\p{Cc}+/gu, ' ').trim().slice(0, 200).toWellFormed()
const text = (value: unknown): string | null => typeof value === 'string' ? line(value) || null : null
const count = (value: unknown): number => {
  const number = typeof value === 'number' ? value : Number(typeof value === 'string' && value !== '' ? value : Number.NaN)
  return Number.isSafeInteger(number) && number > 0 ? number : 0
}

/** util-linux's `lscpu -J`: a list of {field, data}, nested in newer versions. */
function cpu (files: Files): Inventory['cpu'] {
  const flat = (nodes: Json[], depth = 0): Json[] => depth > 8 ? [] : nodes.flatMap(node => [node, ...flat(list(node.children), depth + 1)])
  const values = new Map(flat(list(json(files['lscpu.json']).lscpu)).map(({ field, data }) => [field, data]))
  return { count: count(values.get('CPU(s):')), model: text(values.get('Model name:')) ?? 'unknown' }
}

/** Physical disks that can be written: no CD, no loop device, no memory disk, no floppy. */
function disks (files: Files): Disk[] {
  const yes = (value: unknown) => value === true || value === 1 || value === '1'
  return list(json(files['lsblk.json']).blockdevices)
    .filter(({ name, type, ro, size }) => type === 'disk' && typeof name === 'string' && /^[a-z0-9]{1,32}$/i.test(name) && !/^(loop|ram|zram|fd|sr|nbd)\d/.test(name) && !yes(ro) && count(size) > 0)
    .slice(0, most)
    .map(({ name, size, model, serial, rota }) => ({ name: String(name), size: count(size), model: text(model), serial: text(serial), rotational: yes(rota) }))
}

/** Lines `name mac speed carrier`; a speed of -1 and a carrier of - mean that the driver does not say. */
function interfaces (files: Files): Inventory['interfaces'] {
  return (files.interfaces ?? '').split('\n').flatMap(words => {
    const [name = '', mac = '', speed = '', carrier = ''] = words.trim().split(/\s+/)
    if (!isMac(mac) || !/^[!-~]{1,64}$/.test(name)) return []
    return [{ mac, name, speed: count(speed) || null, link: carrier === '1' ? true : carrier === '0' ? false : null }]
  }).slice(0, most)
}

function dmi (files: Files): Record<string, string> {
  const pairs = (files.dmi ?? '').split('\n').flatMap(words => { const [, name, value] = /^([a-z_]{1,40})=(.*)/.exec(words) ?? []; return name && value && line(value) ? [[name, line(value)] as const] : [] })
  return Object.fromEntries(pairs.slice(0, most))
}

/** UEFI's variable SecureBoot, whose byte after the attributes is 1 when it is on (UEFI specification, section 3.3). Unsaid where the machine does not say. */
function secureBoot (files: Files): Pick<Inventory, 'secureBoot'> {
  const byte = (files.secureboot ?? '').trim()
  return byte === '1' ? { secureBoot: true } : byte === '0' ? { secureBoot: false } : {}
}

/** `ipmitool lan print`: the address of the BMC, where it has one that another machine can be at. Said, not proven: it only picks among BMCs that were found. */
function bmc (files: Files): Pick<Inventory, 'bmc'> {
  const address = /^IP Address\s*:\s*(\d{1,3}(?:\.\d{1,3}){3})\s*$/m.exec((files.bmc ?? '').slice(0, 10_000))?.[1] ?? ''
  return isIPv4(address) && !/^(0|127|22[4-9]|23\d|24\d|25\d)\./.test(address) ? { bmc: { address } } : {}
}

/** The interface the firmware booted from: BOOTIF=01-<mac with dashes> on the kernel's command line. */
function bootMac (files: Files): string | undefined {
  const mac = /(?:^|\s)BOOTIF=01-([0-9a-f-]{17})(?:\s|$)/i.exec(files.cmdline ?? '')?.[1]?.toLowerCase().replaceAll('-', ':')
  return mac !== undefined && isMac(mac) ? mac : undefined
}

/** What was found, or in a sentence why the machine cannot be known by it. Never throws. */
export function readInventory (files: Files): Found | { readonly problem: string } {
  const found = interfaces(files)
  const boot = bootMac(files) ?? found[0]?.mac
  if (boot === undefined) return { problem: 'It reported no network interface with a MAC address.' }
  const memory = /^MemTotal:\s+(\d{1,15}) kB$/m.exec(files.meminfo ?? '')?.[1]
  return {
    bootMac: boot,
    inventory: {
      architecture: architectures.get((files.architecture ?? '').trim()) ?? 'unknown', firmware: (files.firmware ?? '').trim() === 'uefi' ? 'uefi' : 'bios',
      ...secureBoot(files), ...bmc(files), cpu: cpu(files), memory: Math.round(Number(memory ?? 0) / 1024), disks: disks(files), interfaces: found, dmi: dmi(files)
    }
  }
}
