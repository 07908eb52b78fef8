/** Looks at this namespace's addresses every 10 ms, and tells for each of those given every stretch in which it was there (ms, the host's monotonic clock). */
import { bytesOf, sameNetwork } from '../../../../core/address/address.ts'
import { openInterfaces } from '../../../../core/address/interface.ts'

const wanted = process.argv.slice(2).map(address => ({ address, bytes: bytesOf(address) ?? new Uint8Array(), from: undefined as number | undefined, last: 0 }))
const interfaces = await openInterfaces()
const now = (): number => Number(process.hrtime.bigint() / 1000n) / 1000
setInterval(() => {
  const at = now()
  const there = interfaces.addresses()
  for (const one of wanted) {
    const { address, bytes } = one
    if (there.some(assigned => sameNetwork(bytes, assigned.bytes, bytes.length * 8))) {
      if (one.from === undefined) { one.from = at; process.send?.({ address, from: at }) }
      one.last = at
    } else if (one.from !== undefined) {
      process.send?.({ address, from: one.from, until: one.last })
      one.from = undefined
    }
  }
}, 10)
process.send?.({ started: true })
