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
/**
 * Sets $disk. Names may have changed since commissioning (a root that is reached over iSCSI is a disk, too): what has the serial number is the disk, and a name
 * alone decides only where there is none. The disk this very system is read from is never the one.
 */
const findDisk = ({ name, serial }: Pick<Disk, 'name' | 'serial'>): string => serial === null
  ? `disk=/dev/${name}`
  : `disk=/dev/${name} serial=${quote(serial)}
serial_of () { lsblk -d -n -o SERIAL "$1" 2> /dev/null | sed 's/^ *//; s/ *$//'; }
[ "$(serial_of "$disk")" = "$serial" ] || for path in /sys/block/*; do
  [ "$(serial_of "/dev/\${path##*/}")" != "$serial" ] || { disk=/dev/\${path##*/}; break; }
done
[ "$(serial_of "$disk")" = "$serial" ] || { echo "the disk with the serial number $serial is not there any more"; exit 1; }`

/** For a machine that cannot be installed after all: says why, and goes off. */
export const renderRefusal = (reason: string): string => `report install failed ${quote(reason)}\necho poweroff > /run/bedplate/next\n`

export function renderInstall ({ machine, image, disk: wanted }: { readonly machine: Machine, readonly image: Image, readonly disk: string | null }): string {
  const disks = machine.inventory?.disks ?? []
  const name = chooseDisk(disks, wanted)
  const serial = disks.find(disk => disk.name === name)?.serial ?? null
  return `# Installs ${image.name} on the disk that was ${name} when this machine was commissioned.
set -eu
stage () { echo "$1" > /run/bedplate/stage; report "$1" started "$2"; }
target=/run/bedplate/target
mkdir -p $target
${findDisk({ name, serial })}
[ -b "$disk" ] || { echo "there is no disk $disk"; exit 1; }
[ "$disk" != "$BEDPLATE_ROOT" ] || { echo "$disk is the disk this system is read from"; exit 1; }
case "$disk" in *[0-9]) part=\${disk}p ;; *) part=$disk ;; esac # nvme0n1 → nvme0n1p1
esp=\${part}2 root=\${part}3

stage partition "partitioning $disk"
name=\${disk##*/}
for path in /sys/block/"$name"/"$name"*/; do # its own: /dev/sda* is /dev/sdaa, too
  path=\${path%/}
  old=/dev/\${path##*/}
  [ ! -b "$old" ] || wipefs -a -q "$old" || true
done
wipefs -a -q $disk
sgdisk --zap-all $disk > /dev/null 2>&1 || true
# both ways to boot on every disk: a disk can move to a machine with the other firmware
sgdisk -n 1:2048:+1M -t 1:ef02 -c 1:bios -n 2:0:+128M -t 2:ef00 -c 2:esp -n 3:0:0 -t 3:8300 -c 3:root $disk > /dev/null
udevadm settle --timeout=30
[ -b $root ] || { partprobe $disk 2> /dev/null || blockdev --rereadpt $disk; udevadm settle --timeout=30; }
mkfs.vfat -F 32 -n ESP $esp > /dev/null
mkfs.ext4 -q -F -L root -E lazy_itable_init=1,lazy_journal_init=1 $root
mount $root $target

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
mount $esp $target/boot/efi
cat > $target/etc/fstab <<TABLE
UUID=$(blkid -s UUID -o value $root) / ext4 defaults,errors=remount-ro 0 1
UUID=$(blkid -s UUID -o value $esp) /boot/efi vfat umask=0077,nofail 0 1
TABLE
echo ${quote(machine.hostname)} > $target/etc/hostname
# cloud-init reads its seed from the disk: the system comes up, with its address, also while no rack answers
for name in meta-data user-data vendor-data network-config; do
  curl -fsS --connect-timeout 5 --max-time 30 --retry 200 --retry-delay 3 --retry-all-errors -o $target/var/lib/cloud/seed/nocloud/$name "$BEDPLATE_URL/$name"
done
if [ -x $target/usr/lib/bedplate/phone-home ]; then
  mkdir -p $target/etc/bedplate
  ( umask 077; echo "$BEDPLATE_URL" > $target/etc/bedplate/url )
else # an image from before it: cloud-init takes any answer for the end, so it asks for one that is an error until a region has stored it
  cat > $target/etc/cloud/cloud.cfg.d/90-bedplate.cfg <<CONFIG
phone_home:
  url: "$BEDPLATE_URL/phone-home?until=stored"
  post: [pub_key_ecdsa, pub_key_ed25519, instance_id, hostname, fqdn]
  tries: 100
CONFIG
  chmod 600 $target/etc/cloud/cloud.cfg.d/90-bedplate.cfg
fi

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
chroot $target grub-install --target=i386-pc $disk > /run/bedplate/grub.log 2>&1 || { tail -n 5 /run/bedplate/grub.log; exit 1; }
chroot $target grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram >> /run/bedplate/grub.log 2>&1 || { tail -n 5 /run/bedplate/grub.log; exit 1; }
chroot $target update-grub >> /run/bedplate/grub.log 2>&1 || { tail -n 5 /run/bedplate/grub.log; exit 1; }
for name in sys proc dev; do umount $target/$name; done

sync
umount $target/boot/efi
umount $target
report installed ok ${quote(image.title)}" is on $disk; starting it"
echo reboot > /run/bedplate/next
`
}
