/** What the tools of real machines print, as the scripts upload it. */
type Files = Record<string, string>

export const flatLscpu = JSON.stringify({ lscpu: [{ field: 'Architecture:', data: 'x86_64' }, { field: 'CPU(s):', data: '8' }, { field: 'On-line CPU(s) list:', data: '0-7' }, { field: 'Model name:', data: 'Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz' }, { field: 'Model:', data: '79' }] })
/** util-linux 2.38 and newer. */
export const nestedLscpu = JSON.stringify({
  lscpu: [
    { field: 'Architecture:', data: 'x86_64', children: [{ field: 'CPU op-mode(s):', data: '32-bit, 64-bit' }] },
    { field: 'CPU(s):', data: '64', children: [{ field: 'On-line CPU(s) list:', data: '0-63' }] },
    { field: 'Vendor ID:', data: 'AuthenticAMD', children: [{ field: 'Model name:', data: 'AMD EPYC 7543 32-Core Processor', children: [{ field: 'CPU family:', data: '25' }] }] }
  ]
})

const device = (name: string, changes: Readonly<Record<string, unknown>> = {}) => ({ name, type: 'disk', size: 6442450944, model: null, serial: null, rota: false, ro: false, tran: null, ...changes })
export const lsblk = (...devices: readonly object[]): string => JSON.stringify({ blockdevices: devices })
export const virtio = lsblk(device('sr0', { type: 'rom', size: 1073741312, model: 'QEMU DVD-ROM', ro: true, tran: 'sata' }), device('vda', { rota: true, tran: 'virtio' }))
export const server = lsblk(
  device('loop0', { type: 'loop', size: 391954432, ro: true }), device('zram0', { size: 8589934592 }), device('fd0', { size: 4096 }), device('nbd0', { size: 10 }), device('ram0', { size: 65536 }),
  device('sda', { size: 4000787030016, model: 'ST4000NM0035-1V4', serial: 'ZC1AABBC', rota: true, tran: 'sata' }),
  device('sdb', { size: 480103981056, model: 'SAMSUNG MZ7LH480 ', serial: 'S45PNA0M', tran: 'sata' }),
  device('sdc', { size: 0, model: 'SD card reader', tran: 'usb' }), device('sdd', { size: 1024, ro: true, model: 'locked' }),
  device('nvme0n1', { size: 1920383410176, model: 'SAMSUNG MZQL21T9', serial: 'S64GNE0R', tran: 'nvme' }), device('md127', { type: 'raid1' }), device('dm-0', { type: 'lvm' }))
/** Before 2.33 lsblk wrote every value as text. */
export const oldLsblk = lsblk({ name: 'sda', type: 'disk', size: '80026361856', model: 'INTEL SSDSC2BB08', serial: 'BTWL', rota: '0', ro: '0', tran: 'sata' }, { name: 'sdb', type: 'disk', size: '500107862016', model: 'WDC', serial: 'W', rota: '1', ro: '0', tran: 'sata' }, { name: 'sdc', type: 'disk', size: '1', model: null, serial: null, rota: '1', ro: '1', tran: null })

export const meminfo = 'MemTotal:        2014608 kB\nMemFree:         1700000 kB\nSwapTotal:             0 kB\nHugepagesize:       2048 kB\n'
export const dmi = 'sys_vendor=Dell Inc.\nproduct_name=PowerEdge R630\nproduct_serial=ABC1234\nproduct_uuid=4c4c4544-0042-3310-8054-b2c04f4d4d32\nbios_version=2.12.1\n'

/** A virtual machine's upload; `changes` replaces files, undefined leaves them out. */
export function virtual (changes: Readonly<Record<string, string | undefined>> = {}): Files {
  const files = {
    cmdline: 'initrd=initrd.img boot=bedplate bedplate.url=http://10.0.0.1:5248/provision/tok BOOTIF=01-52-54-00-00-00-07 ip=dhcp console=ttyS0\n', architecture: 'x86_64\n', firmware: 'bios\n',
    'lscpu.json': flatLscpu, meminfo, 'lsblk.json': virtio, interfaces: 'ens3 52:54:00:00:00:07 -1 1\n', dmi, lspci: '00:00.0 Host bridge [0600]: Intel\n', ...changes
  }
  return Object.fromEntries(Object.entries(files).filter((pair): pair is [string, string] => pair[1] !== undefined))
}
