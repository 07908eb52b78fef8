/** The table of the matrix: for the terminal, and as docs/boot-matrix.md. Pure. */
import { firmwares } from './machine.ts'
import { exists, rows, ways, type ImageName, type Row } from './matrix.ts'
import type { Outcome } from './run.ts'

export const document = new URL('../../docs/boot-matrix.md', import.meta.url)
export interface Judgement { readonly name: string, readonly title: string, readonly seconds: number, readonly failure?: string }

const columns = (['cell', 'debian'] as const).flatMap(image => ways.filter(way => exists({ row: rows[0] as Row, image, way })).map(way => ({ image, way })))
const titles: Readonly<Record<ImageName, string>> = { cell: 'cell', debian: 'Debian 12' }

function shown (row: Row, image: ImageName, way: Outcome['way'], outcomes: readonly Outcome[]): string {
  if (!exists({ row, image, way: way as 'http' })) return '-'
  const found = outcomes.find(one => one.row === row.name && one.image === image && one.way === way)
  return found === undefined ? 'not run' : found.failure === undefined ? `${found.seconds.toFixed(0)} s` : 'FAILED'
}

const lines = (outcomes: readonly Outcome[]): string[][] => [
  ['firmware', 'what it goes through', 'by', ...columns.map(({ image, way }) => `${titles[image]}: ${way}`)],
  ...rows.map(row => [firmwares[row.firmware].title, row.chain, row.transport, ...columns.map(({ image, way }) => shown(row, image, way, outcomes))])
]

export function table (outcomes: readonly Outcome[]): string {
  const all = lines(outcomes)
  const widths = all[0]?.map((_, index) => Math.max(...all.map(row => row[index]?.length ?? 0))) ?? []
  return all.map(row => row.map((text, index) => text.padEnd(widths[index] ?? 0)).join('  ').trimEnd()).join('\n')
}

export function page (outcomes: readonly Outcome[], judgements: readonly Judgement[]): string {
  const [head = [], ...body] = lines(outcomes)
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return `<!-- written by \`npm run test:boot -- --write\` -->
# What boots, and how

Each cell is a machine in QEMU (emulated, no KVM) with that firmware, in a network namespace with a rack that is Bedplate's own DHCP, TFTP, HTTP and iSCSI on their real ports, and a fresh copy of the firmware's variables.
A cell passes when every file on the way was fetched in its order and by its transport, and the system that was started says that it has its root. The time is from power-on to there, on whatever else the machine was doing.

**Images.** *cell*: Debian's kernel as it is signed, and an initrd of busybox that fetches or finds its root and tells its SHA-256. *Debian 12*: the image that Bedplate builds; its initrd reports to the rack that the root is mounted.
**Ways to the root.** *http*: into memory. *iscsi*: it stays on the rack (busybox has no initiator). *initrd*: it comes with the initrd.

${[line(head), line(head.map(() => '---')), ...body.map(line)].join('\n')}

\`-\`: there is no such thing: the image that Bedplate builds is for amd64.

${[line(['besides', 'came out']), line(['---', '---']), ...judgements.map(({ title, seconds, failure }) => line([title, failure === undefined ? `${seconds.toFixed(0)} s` : `FAILED: ${failure.split('\n')[0] ?? ''}`]))].join('\n')}

## What was found out by running it
- Debian 12's signed GRUB for the network (2.06) asks its server for \`/grub/grub.cfg\` and for nothing that names the machine: no \`grub.cfg-01-<mac>\`, no \`grub.cfg-<address>\`. So that file is the same for all, and has GRUB ask for \`/grub/<processor>/grub.cfg-01-<mac>\`.
- The same GRUB has no address and asks nobody for anything when UEFI's HTTP boot has loaded it (seen on arm64). HTTP boot therefore gets iPXE; a machine with Secure Boot refuses that, and boots by its firmware's PXE entry.
- UEFI's HTTP boot takes a file for a program only if its name ends in \`.efi\`: Debian's \`shimx64.efi.signed\` is served as \`shimx64.efi\` too.
- shim asks for \`grubx64.efi\` beside itself by TFTP, and for \`//grubx64.efi\` by HTTP; before that for \`revocations_sku.efi\`, \`revocations_sbat.efi\` and \`shim_certificate_0.efi\`, which need not be there.
- Loaders differ in whether and how they put a second file into an archive for the kernel. A root that rides along is therefore joined to the initrd by the rack, and every loader sees one file; that each of them starts it is what the columns *initrd* show.
- iPXE of 2019, which Debian 12 has, did not come back to the firmware that had loaded it after \`exit 1\`; on UEFI it therefore loads GRUB for a machine that is to boot from its disk.
- Firmware goes through its network entries once. When the last one was refused, OVMF stops and asks for a key; it is a power cycle that makes it come again, and get shim.
`
}
