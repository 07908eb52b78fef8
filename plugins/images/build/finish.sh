#!/bin/sh
# The last step on the new system's folder ($1), before it is packed: services, and nothing in it that two machines may not share.
set -eu
root=$1
chmod 755 "$root"/usr/lib/bedplate/* "$root"/usr/share/initramfs-tools/hooks/bedplate
chmod 644 "$root"/usr/share/initramfs-tools/scripts/bedplate
while read -r verb unit; do
  chroot "$root" systemctl "$verb" "$unit" > /dev/null 2>&1 || true
done < "$root/etc/systemd/system-preset/10-bedplate.preset"
# later `update-grub` runs on the installed machine keep its console
mkdir -p "$root/boot/grub"
echo GenerateName=yes > "$root/etc/iscsi/initiatorname.iscsi"
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/dbus/machine-id "$root"/etc/hostname "$root"/var/lib/systemd/random-seed
: > "$root/etc/machine-id"
rm -f "$root"/initrd.img.old "$root"/vmlinuz.old "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/tmp/* "$root"/run/*
mkdir -p "$root"/var/log/apt "$root"/var/lib/apt/lists/partial "$root"/var/cache/apt/archives/partial
ln -sfn ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
[ -s "$root/vmlinuz" ] && [ -s "$root/initrd.img" ]
