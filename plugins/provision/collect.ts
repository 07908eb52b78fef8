/** The scripts that look at a machine: for one nobody knows, and for commissioning. They upload what its own tools say; inventory.ts reads it. Pure. */

/** Files the scripts upload; names are what inventory.ts looks for. A tool that fails leaves its file empty. */
const look = `
mkdir -p /run/bedplate/inventory
cd /run/bedplate/inventory
cat /proc/cmdline > cmdline
uname -m > architecture
if [ -d /sys/firmware/efi ]; then echo uefi; else echo bios; fi > firmware
od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c > secureboot 2> /dev/null || true
lscpu -J > lscpu.json 2> /dev/null || true
cat /proc/meminfo > meminfo
lsblk -J -b -d -o NAME,TYPE,SIZE,MODEL,SERIAL,ROTA,RO,TRAN > lsblk.json 2> /dev/null || true
for path in /sys/class/net/*; do
  [ -e "$path/device" ] || continue
  ip link set "\${path##*/}" up 2> /dev/null || true
  echo "\${path##*/} $(cat "$path/address") $(cat "$path/speed" 2> /dev/null || echo -1) $(cat "$path/carrier" 2> /dev/null || echo -)"
done > interfaces
for name in sys_vendor product_name product_version product_serial product_uuid board_vendor board_name board_serial chassis_vendor chassis_serial bios_vendor bios_version bios_date; do
  value=$(cat "/sys/class/dmi/id/$name" 2> /dev/null || true)
  [ -z "$value" ] || echo "$name=$value"
done > dmi
lspci -nn > lspci 2> /dev/null || true
modprobe -q -a ipmi_si ipmi_devintf 2> /dev/null || true
if [ -e /dev/ipmi0 ] && command -v ipmitool > /dev/null; then timeout 20 ipmitool lan print > bmc 2> /dev/null || true; fi
`

/**
 * Uploads until a region has stored it (204), with patience: the rack may be starting again, another may have its address by then, and one that only keeps it (202) may never come
 * back. 410 is no failure: the session is over, so the region has the inventory, and only its answer was lost. 404 is that, too, or a rack that has not heard of the session yet.
 */
const upload = `
tar -cf ../inventory.tar *
tries=0 strange=0
while :; do
  code=$(curl -sS -o /run/bedplate/answer -w '%{http_code}' --connect-timeout 5 --max-time 60 -H 'content-type: application/x-tar' --data-binary @../inventory.tar "$BEDPLATE_URL/inventory") || true
  case "$code" in
    202) ;;
    2??|410) break ;;
    404) strange=$((strange + 1)); [ $strange -lt 100 ] || break ;;
  esac
  tries=$((tries + 1))
  if [ $tries -ge 200 ]; then
    [ "$code" != 202 ] || break
    echo "no rack took the inventory ($code)" >&2
    exit 1
  fi
  sleep 3
done
`

/** For a machine nobody knows: tells what it is, then goes off. An operator decides what becomes of it. */
export const renderEnlist = (): string => `set -eu
${look}${upload}
echo poweroff > /run/bedplate/next
`

/** For commissioning: the same look, then the tools that take longer. The upload ends the session, so nothing is reported after it. */
export const renderCommission = (): string => `set -eu
echo inventory > /run/bedplate/stage
report inventory started 'looking at the hardware'
${look}${upload}
echo poweroff > /run/bedplate/next
`
