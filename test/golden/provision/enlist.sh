set -eu

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
  ip link set "${path##*/}" up 2> /dev/null || true
  echo "${path##*/} $(cat "$path/address") $(cat "$path/speed" 2> /dev/null || echo -1) $(cat "$path/carrier" 2> /dev/null || echo -)"
done > interfaces
for name in sys_vendor product_name product_version product_serial product_uuid board_vendor board_name board_serial chassis_vendor chassis_serial bios_vendor bios_version bios_date; do
  value=$(cat "/sys/class/dmi/id/$name" 2> /dev/null || true)
  [ -z "$value" ] || echo "$name=$value"
done > dmi
lspci -nn > lspci 2> /dev/null || true
modprobe -q -a ipmi_si ipmi_devintf 2> /dev/null || true
if [ -e /dev/ipmi0 ] && command -v ipmitool > /dev/null; then timeout 20 ipmitool lan print > bmc 2> /dev/null || true; fi

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

echo poweroff > /run/bedplate/next
