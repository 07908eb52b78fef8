/** The script that takes a machine back: its disks lose their partition tables and signatures. Pure. */

/** Quick, not secure: what was on the disks can no longer be booted or mounted, but where discard is not there its blocks remain. */
export const renderRelease = (): string => `set -eu
echo wipe > /run/bedplate/stage
for path in /sys/block/*; do
  name=\${path##*/}
  case "$name" in loop*|ram*|zram*|sr*|fd*|nbd*) continue ;; esac
  [ "/dev/$name" != "$BEDPLATE_ROOT" ] || continue
  [ "$(cat "$path/ro")" = 0 ] && [ "$(cat "$path/size")" -gt 0 ] || continue
  report wipe started "wiping /dev/$name"
  for part in "$path/$name"*/; do # its own: /dev/sda* is /dev/sdaa, too
    part=\${part%/}
    part=/dev/\${part##*/}
    [ ! -b "$part" ] || wipefs -a -q "$part" || true
  done
  wipefs -a -q "/dev/$name"
  sgdisk --zap-all "/dev/$name" > /dev/null 2>&1 || true
  blkdiscard -f "/dev/$name" 2> /dev/null || dd if=/dev/zero of="/dev/$name" bs=1M count=8 conv=fsync 2> /dev/null
done
sync
report released ok 'the disks are wiped'
echo poweroff > /run/bedplate/next
`
