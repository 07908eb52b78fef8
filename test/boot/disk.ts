/** A disk that says on the serial line that it was booted: for a BIOS a boot sector of a few bytes, for UEFI Debian's signed loaders where every firmware looks for them. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { firmwares, type FirmwareName } from './machine.ts'
import { unpacked } from './packages.ts'

const run = promisify(execFile)
export const sentence = 'disk: started'

/** Writes each character to the first serial port, then stops: 16-bit code, loaded at 0x7c00. */
function bootSector (text: string): Buffer {
  const code = Buffer.from([
    0x31, 0xc0, 0x8e, 0xd8, //             xor ax, ax; mov ds, ax
    0xbe, 0x15, 0x7c, //                   mov si, text
    0xba, 0xf8, 0x03, //                   mov dx, 0x3f8
    0xac, //                         next: lodsb
    0x84, 0xc0, //                         test al, al
    0x74, 0x03, //                         jz stop
    0xee, //                               out dx, al
    0xeb, 0xf8, //                         jmp next
    0xf4, 0xeb, 0xfd //              stop: hlt; jmp stop
  ])
  const sector = Buffer.alloc(512)
  code.copy(sector)
  sector.write(`\r\n${text}\r\n\0`, code.length, 'latin1')
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

/** Makes it at `path`, which is given back. UEFI ones need mtools. */
export async function bootableDisk (firmware: FirmwareName, path: string, say: (line: string) => void): Promise<string> {
  const { architecture, code } = firmwares[firmware]
  await writeFile(path, Buffer.concat([code === undefined ? bootSector(sentence) : Buffer.alloc(512), Buffer.alloc((code === undefined ? 1 : 64) << 20)]))
  if (code === undefined) return path
  const [cpu, name, folder] = architecture === 'arm64' ? ['aa64', 'BOOTAA64.EFI', 'arm64-efi-signed'] : ['x64', 'BOOTX64.EFI', 'x86_64-efi-signed']
  const root = join(await unpacked(architecture, ['shim-signed', `grub-efi-${architecture}-signed`], say), 'usr/lib')
  const configuration = `${path}.cfg`
  await writeFile(configuration, `echo '${sentence}'\nsleep 60\n`)
  await run('mformat', ['-i', path, '-F', '-v', 'DISK', '::'])
  for (const directory of ['::/EFI', '::/EFI/BOOT', '::/EFI/debian']) await run('mmd', ['-i', path, directory])
  for (const [from, to] of [[join(root, 'shim', `shim${cpu}.efi.signed`), `EFI/BOOT/${name}`], [join(root, 'grub', folder, `grub${cpu}.efi.signed`), `EFI/BOOT/grub${cpu}.efi`], [configuration, 'EFI/debian/grub.cfg']]) await run('mcopy', ['-i', path, from ?? '', `::/${to ?? ''}`])
  return path
}
