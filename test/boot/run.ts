/** Runs a cell, and the ones of Secure Boot that are to end otherwise; rejects with what the rack and the machine said when it came out wrong. */
import { copyFile, mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cellMac, withCell, type Cell, type CellOptions } from './cell.ts'
import { bootableDisk } from './disk.ts'
import { cellImage, fileOf, type CellFile, type CellImage } from './image.ts'
import { firmwares, type FirmwareName } from './machine.ts'
import type { Plan, Way } from './matrix.ts'
import { unpacked } from './packages.ts'
import type { RackLine, RackSpec } from './rack.ts'

export interface Outcome { readonly row: string, readonly image: string, readonly way: string, readonly seconds: number, readonly failure?: string }
/** Where logs are left, if they are to be; and the folder of the image that Bedplate builds, where a cell is of that. */
export interface RunOptions { readonly say: (line: string) => void, readonly keep?: string, readonly debian?: string }

const patience = 240 // seconds: a cell takes 20 to 40 on a machine that has nothing else to do
const console = 'console=ttyAMA0 console=ttyS0'

/** The folders with loaders that a firmware may ask for: this host's own iPXE, and Debian's signed ones unpacked beside it. */
async function loadersFor (architecture: 'amd64' | 'arm64', say: (line: string) => void): Promise<string[]> {
  const root = await unpacked(architecture, architecture === 'arm64' ? ['shim-signed', 'grub-efi-arm64-signed'] : ['shim-signed', 'grub-efi-amd64-signed', 'pxelinux', 'syslinux-common'], say)
  const folders = architecture === 'arm64' ? ['shim', 'grub/arm64-efi-signed'] : ['shim', 'grub/x86_64-efi-signed', 'PXELINUX', 'syslinux/modules/bios']
  return ['/usr/lib/ipxe', ...folders.map(folder => join(root, 'usr/lib', folder))]
}

interface Files { readonly kernel: CellFile, readonly initrd: CellFile, readonly root: CellFile }
const cut = ({ sha256, size }: CellFile): { sha256: string, size: number } => ({ sha256, size })

async function rackFor (firmware: FirmwareName, files: Files, way: Way, loader: RackSpec['loader'], options: RunOptions): Promise<CellOptions['rack']> {
  return {
    loaders: await loadersFor(firmwares[firmware].architecture, options.say),
    files: Object.fromEntries([files.kernel, files.initrd, files.root].map(file => [file.sha256, file.path])),
    wanted: [{ kind: 'machine', id: cellMac, value: { machine: '7', hostname: 'cell', purpose: 'commission', token: 'token', reason: null, files: { kernel: cut(files.kernel), initrd: cut(files.initrd), root: cut(files.root), options: console, way } } }],
    ...loader === undefined ? {} : { loader }
  }
}

const debianImage = async (directory: string): Promise<Files> => ({ kernel: await fileOf(join(directory, 'vmlinuz')), initrd: await fileOf(join(directory, 'initrd.img')), root: await fileOf(join(directory, 'root.squashfs')) })

export async function runPlan (plan: Plan, options: RunOptions): Promise<Outcome> {
  const { row, image, way } = plan
  const { architecture } = firmwares[row.firmware]
  if (image === 'debian' && options.debian === undefined) throw new TypeError('the folder of the image is missing')
  const files = image === 'cell' ? await cellImage(architecture, options.say) : await debianImage(options.debian ?? '')
  const rack = { ...await rackFor(row.firmware, files, way, row.loader, options), ...row.named === undefined ? {} : { named: row.named } }
  const began = performance.now()
  // a root in memory, as it is and unpacked into the initial file system before that, and what runs on it
  const memory = image === 'cell' ? 512 : way === 'initrd' ? 2048 : 1536
  await withCell({ firmware: row.firmware, rack, memory, ...options.keep === undefined ? {} : { keep: options.keep } }, async cell => {
    if (image === 'cell') await cell.until(serial => serial.includes('cell: done'), patience, 'the machine\'s own system has said what it got')
    else await cell.until((_, lines) => lines.some(({ kind, url, body }) => kind === 'asked' && String(url).endsWith('/report') && String(body).includes('stage=root') && String(body).includes('status=ok')), patience * 2, 'the machine reports that it has its root')
    wentThrough(row.fetched, cell.lines)
    if (image === 'cell') hasSaid(await cell.machine.serial(), files, way, row.firmware)
  })
  return { row: row.name, image, way, seconds: Math.round((performance.now() - began) / 100) / 10 }
}

/** Throws when the files were not fetched in that order, each whole and by that transport. */
function wentThrough (expected: Plan['row']['fetched'], lines: readonly RackLine[]): void {
  const served = lines.filter(({ kind, fact, failure }) => kind === 'served' && fact === 'served' && failure === null).map(({ by, what }) => ({ by, what: String(what) }))
  let at = 0
  for (const [by, name] of expected) {
    const found = served.findIndex((one, index) => index >= at && one.by === by && name.test(one.what))
    if (found === -1) throw new Error(`${String(name)} was not fetched by ${by} in its turn; fetched were ${served.map(one => `${one.what} by ${String(one.by)}`).join(', ')}`)
    at = found + 1
  }
}

/** Throws when the system got something else than it was to get. */
function hasSaid (serial: string, { root }: Files, way: Way, firmware: FirmwareName): void {
  const secure = firmware === 'uefi-secure' ? '1' : firmware === 'bios' ? 'none' : '0'
  for (const sentence of [`secure boot ${secure}`, `cell: root by ${way}: ${root.size} bytes of ${root.size}, sha256 ${root.sha256}`]) {
    if (!serial.includes(sentence)) throw new Error(`the system did not say "${sentence}", but:\n${serial.split('\n').filter(line => line.includes('cell:')).join('\n')}`)
  }
}

const cellOf = async (firmware: FirmwareName, loader: RackSpec['loader'], options: RunOptions, change?: (image: CellImage) => Promise<Files>): Promise<CellOptions> => {
  const image = await cellImage(firmwares[firmware].architecture, options.say)
  return { firmware, rack: await rackFor(firmware, change === undefined ? image : await change(image), 'http', loader, options), ...options.keep === undefined ? {} : { keep: options.keep } }
}

/** Firmware with Secure Boot fetches iPXE and refuses it; switched on again it gets shim, and boots. */
export async function refusesIpxe (options: RunOptions): Promise<void> {
  await withCell(await cellOf('uefi-secure', 'auto', options), async cell => {
    const told = (cell: Cell): string[] => cell.lines.filter(({ kind }) => kind === 'dhcp').map(({ file }) => String(file))
    await cell.until(serial => serial.includes('Access Denied'), patience, 'the firmware refuses iPXE')
    if (!told(cell).every(file => file === 'ipxe.efi')) throw new Error(`it was told ${told(cell).join(', ')}`)
    await cell.again()
    await cell.until(serial => serial.includes('cell: done'), patience, 'the machine boots by shim')
    if (!(await cell.machine.serial()).includes('secure boot 1')) throw new Error('Secure Boot was not on')
    const refusals = cell.lines.filter(({ fact }) => fact === 'refused')
    if (refusals.length !== 1 || refusals[0]?.mac !== cell.mac || refusals[0]?.machine !== '7') throw new Error(`it was reported ${JSON.stringify(refusals)}`)
    if (!told(cell).includes('shimx64.efi')) throw new Error(`it was told ${told(cell).join(', ')}`)
  })
}

/** A kernel with one bit changed is fetched, and not started. */
export async function refusesTampered (options: RunOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-tampered-'))
  try {
    const cell = await cellOf('uefi-secure', 'grub', options, async image => {
      const path = join(folder, 'vmlinuz')
      await copyFile(image.kernel.path, path)
      const file = await open(path, 'r+')
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 5_000_000)
      await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, 5_000_000)
      await file.close()
      return { ...image, kernel: await fileOf(path) }
    })
    await withCell(cell, async here => {
      await here.until(serial => serial.includes('Bedplate: that failed, trying again (2 of'), patience, 'GRUB has refused the kernel twice')
      const serial = await here.machine.serial()
      if (!serial.includes('bad shim signature')) throw new Error(`no word of the signature: ${serial.slice(-500)}`)
      if (/Linux version|cell:/.test(serial.replaceAll('cell: commission', ''))) throw new Error('the tampered kernel ran')
    })
  } finally { await rm(folder, { recursive: true }) }
}

/** A machine that is to boot from its disk does so, from iPXE and from GRUB alike. */
export async function bootsLocally (firmware: FirmwareName, loader: RackSpec['loader'], options: RunOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bedplate-disk-'))
  try {
    const disk = await bootableDisk(firmware, join(folder, 'disk.img'), options.say)
    const rack = { loaders: await loadersFor(firmwares[firmware].architecture, options.say), files: {}, ...loader === undefined ? {} : { loader }, wanted: [{ kind: 'machine' as const, id: cellMac, value: { machine: '7', hostname: 'cell', purpose: 'local' as const, token: null, files: null, reason: null } }] }
    await withCell({ firmware, rack, disk, ...options.keep === undefined ? {} : { keep: options.keep } }, async cell => {
      await cell.until(serial => serial.includes('disk: started'), patience, 'what is on the disk has started')
      if (!cell.lines.some(({ kind, what }) => kind === 'served' && String(what).includes(cell.mac))) throw new Error('nobody had told it to')
    })
  } finally { await rm(folder, { recursive: true }) }
}
