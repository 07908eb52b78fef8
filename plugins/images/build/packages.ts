/** What goes into the Debian image, and what its build needs of the host. Pure data. */

/** Debian packages that the build needs on the host. */
export const buildPackages: readonly string[] = ['mmdebstrap', 'squashfs-tools', 'zstd', 'debian-archive-keyring']

/** `cloud`: virtual machines; small. `metal`: every driver, three times the size. */
export type Flavour = 'cloud' | 'metal'

const base = [
  'systemd-sysv', 'systemd-resolved', 'udev', 'dbus', 'kmod', 'initramfs-tools', 'busybox', 'netbase', 'iproute2', 'iputils-ping', 'less', 'curl', 'ca-certificates', 'debian-archive-keyring',
  'cloud-init', 'openssh-server', 'sudo',
  'grub2-common', 'grub-pc-bin', 'e2fsprogs', 'dosfstools', 'gdisk', 'fdisk', 'util-linux', 'squashfs-tools', 'zstd', 'open-iscsi',
  'lshw', 'dmidecode', 'pciutils', 'ethtool'
]

/** Debian packages of the image. */
export function imagePackages (architecture: 'amd64', flavour: Flavour): readonly string[] {
  const kernel = flavour === 'cloud' ? `linux-image-cloud-${architecture}` : `linux-image-${architecture}`
  return [kernel, 'grub-efi-amd64-bin', 'efibootmgr', ...base]
}

/** Files nobody reads on a machine that was installed by a program. Copyright files stay. */
export const leftOut: readonly string[] = ['path-exclude=/usr/share/doc/*', 'path-include=/usr/share/doc/*/copyright', 'path-exclude=/usr/share/man/*', 'path-exclude=/usr/share/info/*', 'path-exclude=/usr/share/locale/*', 'path-exclude=/usr/share/i18n/*']
