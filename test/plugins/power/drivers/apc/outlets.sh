# What snmpd's pass_persist runs: outlets 1 to 4 of a PDU, kept as files, under the objects APC's PowerNet-MIB has for them.
# $1: the folder. It holds outlet.<n> (on or off), mib (which objects there are), switches (a line for each change), and lie or broken as long as they are wished for.
cd "$1" || exit 1
apc=.1.3.6.1.4.1.318.1.1
number () { case "$1" in # of a state: the MIBs do not agree
  rpdu2) if [ "$2" = on ]; then echo 2; else echo 1; fi ;;
  *) if [ "$2" = on ]; then echo 1; else echo 2; fi ;;
esac }
place () { # sets mib, column and outlet of an OID
  outlet=${1##*.}
  case "$1" in
    $apc.26.9.2.3.1.5.*) mib=rpdu2 column=state ;;
    $apc.26.9.2.4.1.5.*) mib=rpdu2 column=command ;;
    $apc.12.3.5.1.1.4.*) mib=rpdu column=state ;;
    $apc.12.3.3.1.1.4.*) mib=rpdu column=command ;;
    $apc.4.4.2.1.3.*) mib=masterswitch column=both ;;
    *) return 1 ;;
  esac
  grep -qx "$mib" mib && [ -f "outlet.$outlet" ]
}
while read -r request; do
  case "$request" in
    PING) echo PONG ;;
    get)
      read -r oid
      if place "$oid"; then printf '%s\ninteger\n%s\n' "$oid" "$(number "$mib" "$(cat "outlet.$outlet")")"; else echo NONE; fi ;;
    getnext) read -r oid; echo NONE ;;
    set)
      read -r oid; read -r _ value
      if ! place "$oid" || [ "$column" = state ]; then echo not-writable
      elif [ -f broken ]; then echo inconsistent-value
      else
        case "$value" in 1) wanted=on ;; 2) wanted=off ;; *) wanted= ;; esac
        if [ -z "$wanted" ]; then echo wrong-value
        else
          if [ ! -f lie ] && [ "$(cat "outlet.$outlet")" != "$wanted" ]; then echo "$wanted" > "outlet.$outlet"; echo "$outlet $wanted" >> switches; fi
          echo DONE
        fi
      fi ;;
    '') ;; # snmpd ends a value with an empty line of its own
    *) exit 0 ;;
  esac
done
