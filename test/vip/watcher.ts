/** Looks at this namespace's addresses every 10 ms, and tells each stretch in which one of those given was there (ms, the host's monotonic clock). */
import { bytesOf, sameNetwork } from '../../core/address/address.ts'
import { openInterfaces } from '../../core/address/interface.ts'

const wanted = process.argv.slice(2).map(text => bytesOf(text) ?? new Uint8Array())
const interfaces = await openInterfaces()
const now = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
let from: number | undefined
let last = 0
setInterval(() => {
  const at = now()
  const there = interfaces.addresses().some(({ bytes }) => wanted.some(one => sameNetwork(one, bytes, one.length * 8)))
  if (there) {
    if (from === undefined) { from = at; process.send?.({ from }) }
    last = at
  } else if (from !== undefined) {
    process.send?.({ from, until: last })
    from = undefined
  }
}, 10)
process.send?.({ started: true })
