/** How many clients nobody knows may come in: per port of a relay and per VLAN, so that a flood of invented MACs starves only those like it. Pure: time is handed in. */
import type { Options } from '../options/area.ts'
import { readEncapsulated } from '../options/area.ts'
import { option } from '../options/codes.ts'

export interface LimitsOptions {
  /** New clients may take a whole pool in so many seconds, no faster. */
  readonly poolSeconds: number
  /** New clients a second that every VLAN may have, however small its pool. */
  readonly leastPerSecond: number
  /** New clients a second behind one port of a relay (its circuit and remote id), and how many at once; never more than a quarter of the VLAN's. */
  readonly portPerSecond: number
  readonly portBurst: number
}
/** As the configuration says it. */
export const limitsOf = (config: { readonly newClientPoolSeconds: number, readonly newClientsPerSecond: number, readonly newClientsPerPort: number, readonly newClientsPortBurst: number }): LimitsOptions =>
  ({ poolSeconds: config.newClientPoolSeconds, leastPerSecond: config.newClientsPerSecond, portPerSecond: config.newClientsPerPort, portBurst: config.newClientsPortBurst })
export const usual: LimitsOptions = { poolSeconds: 60, leastPerSecond: 20, portPerSecond: 10, portBurst: 100 }

/** Where clients are refused, how many so far, and the first of them. */
export interface Starved { readonly vlan: string, readonly port: string | null, readonly refused: number, readonly mac: string }
interface Bucket { tokens: number, at: number, refused: number, last: number, mac: string }

const mostPorts = 2048 // of a generation; two are kept
const quiet = 60_000 // ms without a refusal after which it is over

const circuitId = 1
const remoteId = 2

/** The port of a relay a packet came in at, by its circuit and remote id (RFC 3046); `null` for what came without a relay: anybody can write that option. */
export function portOf (giaddr: number, options: Options): string | null {
  const value = giaddr === 0 ? undefined : options.get(option.relay)
  if (value === undefined) return null
  const parts = readEncapsulated(value)
  const [circuit, remote] = [parts.get(circuitId), parts.get(remoteId)]
  if (circuit === undefined && remote === undefined) return null
  return `${circuit?.toString('hex') ?? ''}/${remote?.toString('hex') ?? ''}`
}

export class Limits {
  private readonly options: LimitsOptions
  private readonly vlans = new Map<string, Bucket>()
  private ports = new Map<string, Bucket>() // used lately
  private before = new Map<string, Bucket>() // used before those

  constructor (options: LimitsOptions = usual) { this.options = options }

  /**
   * Whether a client that nobody knows may be given something new. `pool`: the addresses of the VLAN's ranges; `now`: monotonic ms.
   * Ask only for such clients: who has a binding, an address set aside or an offer is never limited.
   */
  admit (vlan: string, port: string | null, pool: number, mac: string, now: number): boolean {
    const { poolSeconds, leastPerSecond, portPerSecond, portBurst } = this.options
    const perSecond = Math.max(leastPerSecond, pool / poolSeconds)
    const burst = Math.max(leastPerSecond, pool / 2)
    // One port alone never uses up what its whole VLAN may have.
    const ownBurst = Math.min(portBurst, burst / 4)
    const own = port === null ? undefined : this.port(`${vlan} ${port}`, ownBurst, now)
    if (own !== undefined && !fill(own, Math.min(portPerSecond, perSecond / 4), ownBurst, now)) return refuse(own, mac, now)
    let all = this.vlans.get(vlan)
    if (all === undefined) this.vlans.set(vlan, all = bucket(burst, now))
    if (!fill(all, perSecond, burst, now)) return refuse(all, mac, now)
    all.tokens--
    if (own !== undefined) own.tokens--
    return true
  }

  /** The VLANs and ports where clients are being refused, the VLANs first. */
  starved (now: number): readonly Starved[] {
    const found: Starved[] = []
    for (const [vlan, bucket] of this.vlans) if (bites(bucket, now)) found.push({ vlan, port: null, refused: bucket.refused, mac: bucket.mac })
    for (const [key, bucket] of [...this.ports, ...this.before]) {
      if (!bites(bucket, now)) continue
      const space = key.indexOf(' ')
      found.push({ vlan: key.slice(0, space), port: key.slice(space + 1), refused: bucket.refused, mac: bucket.mac })
    }
    return found
  }

  /** Forgets the VLANs that are not served any more. */
  keep (served: ReadonlyMap<string, unknown>): void { for (const vlan of this.vlans.keys()) if (!served.has(vlan)) this.vlans.delete(vlan) }

  /** How many counts are kept. */
  get size (): number { return this.vlans.size + this.ports.size + this.before.size }

  private port (key: string, burst: number, now: number): Bucket {
    const known = this.ports.get(key)
    if (known !== undefined) return known
    // Whoever invents ports as well as MACs is held by the VLAN's count. Two generations: forgetting the oldest one by one would walk the holes of the map.
    if (this.ports.size >= mostPorts) { this.before = this.ports; this.ports = new Map() }
    const found = this.before.get(key) ?? bucket(burst, now)
    this.before.delete(key)
    this.ports.set(key, found)
    return found
  }
}

const bucket = (tokens: number, now: number): Bucket => ({ tokens, at: now, refused: 0, last: 0, mac: '' })
const bites = ({ refused, last }: Bucket, now: number): boolean => refused > 0 && now - last < quiet

function fill (bucket: Bucket, perSecond: number, burst: number, now: number): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + Math.max(0, now - bucket.at) * perSecond / 1000)
  bucket.at = Math.max(bucket.at, now)
  return bucket.tokens >= 1
}

function refuse (bucket: Bucket, mac: string, now: number): false {
  if (!bites(bucket, now)) { bucket.refused = 0; bucket.mac = mac }
  bucket.refused++
  bucket.last = now
  return false
}

/** What an operator is told. */
export const starvedSentence = ({ vlan, port, refused, mac }: Starved): string =>
  `VLAN ${vlan} is starved by new clients${port === null ? '' : ` behind the relay's port ${port} (circuit/remote id)`}: ${refused} refused, the first one ${mac}; known machines are served. Find the switch port these MACs come from and shut it`
