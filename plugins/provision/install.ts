/** The script that installs a machine: partitions its disk, lays down the image, makes it boot on BIOS and UEFI alike, leaves the seed for cloud-init. Pure. */
import { BedplateError } from '../../core/errors.ts'
import type { Image } from '../images/manifest.ts'
import type { Disk, Machine } from '../machines/manifest.ts'

const smallest = 2 * 2 ** 30 // bytes: what a small image and its boot partitions need

/**
 * The disk to install on: the named one, or else the smallest that is large enough, solid-state before rotating; ties go by name.
 * @throws BedplateError CONFLICT when there is none
 */
export function chooseDisk (disks: readonly Disk[], wanted: string | null): string {
  const listed = disks.map(({ name, size }) => `${name} (${(size / 1e9).toFixed(0)} GB)`).join(', ') || 'none'
  const name = wanted?.replace(/^\/dev\//, '')
  if (name !== undefined && name !== '') {
    if (!disks.some(disk => disk.name === name)) throw new BedplateError('CONFLICT', { reason: `There is no disk ${name}; commissioning found: ${listed}.` })
    return name
  }
  const [best] = disks.filter(({ size }) => size >= smallest).sort((a, b) => Number(a.rotational) - Number(b.rotational) || a.size - b.size || (a.name < b.name ? -1 : 1))
  if (!best) throw new BedplateError('CONFLICT', { reason: `No disk of at least 2 GiB was found; commissioning found: ${listed}.` })
  return best.name
}

/** One word for the shell. */
const quote = (text: string): string => `'${text.replaceAll('\'', '\'\\\'\'')}'`
/** `sda` → `sda1`, `nvme0n1` → `nvme0n1p1`: the kernel puts a p where the name ends in a digit. */
const partition = (disk: string, number: number): string => `/dev/${disk}${/\d$/.test(disk) ? 'p' : ''}${number}`

/** For a machine that cannot be installed after all: says why, and goes off. */
export const renderRefusal = (reason: string): string => `report install failed ${quote(reason)}\necho poweroff > /run/bedplate/next\n`

export function renderInstall ({ machine, image, disk: wanted }: { readonly machine: Machine, readonly image: Image, readonly disk: string | null }): string {
  const disk = chooseDisk(machine.inventory?.disks ?? [], wanted)
  const [esp, root] = [partition(disk, 2), partition(disk, 3)]
  return `# Installs ${image.name} on /dev/${disk} of this machine.
set -eu
stage () { echo "$1" > /run/bedplate/stage; report "$1" started "$2"; }
target=/run/bedplate/target
mkdir -p $target

stage partition 'partitioning /dev/${disk}'
for old in /dev/${disk}?*; do [ ! -b "$old" ] || wipefs -a -q "$old" || true; done
wipefs -a -q /dev/${disk}
sgdisk --zap-all /dev/${disk} > /dev/null 2>&1 || true
# both ways to boot on every disk: a disk can move to a machine with the other firmware
sgdisk -n 1:2048:+1M -t 1:ef02 -c 1:bios -n 2:0:+128M -t 2:ef00 -c 2:esp -n 3:0:0 -t 3:8300 -c 3:root /dev/${disk} > /dev/null
udevadm settle --timeout=30
[ -b ${root} ] || { partprobe /dev/${disk} 2> /dev/null || blockdev --rereadpt /dev/${disk}; udevadm settle --timeout=30; }
mkfs.vfat -F 32 -n ESP ${esp} > /dev/null
mkfs.ext4 -q -F -L root -E lazy_itable_init=1,lazy_journal_init=1 ${root}
mount ${root} $target

stage system 'writing the system to the disk'
total=$(unsquashfs -lln "$BEDPLATE_ROOT" 2> /dev/null | awk '$1 ~ /^-/ { sum += $3 } END { printf "%.0f", sum }')
unsquashfs -f -n -d $target "$BEDPLATE_ROOT" > /run/bedplate/unsquashfs.log 2>&1 & writer=$!
while kill -0 $writer 2> /dev/null; do
  sleep 2
  report system progress 'writing the system to the disk' "$(df --output=used -B1 $target | tail -n 1 | tr -d ' ')" "$total"
done
wait $writer || { tail -n 5 /run/bedplate/unsquashfs.log; exit 1; }

stage configure 'configuring the system'
mkdir -p $target/boot/efi $target/var/lib/cloud/seed/nocloud
mount ${esp} $target/boot/efi
cat > $target/etc/fstab <<TABLE
UUID=$(blkid -s UUID -o value ${root}) / ext4 defaults,errors=remount-ro 0 1
UUID=$(blkid -s UUID -o value ${esp}) /boot/efi vfat umask=0077,nofail 0 1
TABLE
echo ${quote(machine.hostname)} > $target/etc/hostname
# cloud-init reads its seed from the disk: the system comes up, with its address, also while no rack answers
for name in meta-data user-data vendor-data network-config; do
  curl -fsS --retry 60 --retry-delay 3 --retry-all-errors -o $target/var/lib/cloud/seed/nocloud/$name "$BEDPLATE_URL/$name"
done
cat > $target/etc/cloud/cloud.cfg.d/90-bedplate.cfg <<CONFIG
phone_home:
  url: "$BEDPLATE_URL/phone-home"
  post: [pub_key_ecdsa, pub_key_ed25519, instance_id, hostname, fqdn]
  tries: 100
CONFIG
chmod 600 $target/etc/cloud/cloud.cfg.d/90-bedplate.cfg

stage bootloader 'making the disk bootable'
console=$(tr ' ' '\\n' < /proc/cmdline | grep '^console=' | tr '\\n' ' ' || true)
mkdir -p $target/etc/default/grub.d
cat > $target/etc/default/grub.d/90-bedplate.cfg <<CONFIG
GRUB_TIMEOUT=1
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="$console"${image.kernelOptions === '' ? '' : `" "${quote(image.kernelOptions)}`}
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200"
GRUB_DISABLE_OS_PROBER=true
CONFIG
for name in dev proc sys; do mount --bind /$name $target/$name; done
chroot $target grub-install --target=i386-pc /dev/${disk} > /run/bedplate/grub.log 2>&1 || { tail -n 5 /run/bedplate/grub.log; exit 1; }
chroot $target grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram >> /run/bedplate/grub.log 2>&1 || { tail -n 5 /run/bedplate/grub.log; exit 1; }
chroot $target update-grub >> /run/bedplate/grub.log 2>&1 || { tail -n 5 /run/bedplate/grub.log; exit 1; }
for name in sys proc dev; do umount $target/$name; done

sync
umount $target/boot/efi
umount $target
report installed ok ${quote(`${image.title} is on /dev/${disk}; starting it`)}
echo reboot > /run/bedplate/next
`
}
