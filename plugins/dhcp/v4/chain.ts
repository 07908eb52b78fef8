/** The chain a packet goes through: parse → classify → subnet → address → boot → options → reply. Plugins tap it; a bad tap is passed over. */
import { SyncBailHook, SyncWaterfallHook } from 'tapable'
import type { HookInterceptor } from 'tapable'
import { reasonOf } from '../../../core/errors.ts'
import type { Logger } from '../../../core/plugin.ts'
import type { View } from './address.ts'
import type { Boot } from './boot-file.ts'
import { bootOf } from './boot-file.ts'
import type { Classes } from './classes.ts'
import { classesOf } from './classes.ts'
import type { Decision } from './decision.ts'
import { decide } from './decision.ts'
import { ipText } from './ipv4.ts'
import type { MessageType } from '../options/codes.ts'
import type { LoaderKind } from '../options/loaders.ts'
import { messageName, option } from '../options/codes.ts'
import { ToldBySubnet } from '../options/told.ts'
import { readU8 } from '../options/values.ts'
import type { Packet } from './packet.ts'
import type { Lease } from './reply.ts'
import { informReply, leaseReply, nakReply } from './reply.ts'
import type { Segment, Subnet } from './segment.ts'
import { subnetsFor } from './segment.ts'
import { isBoot, isClasses, isDecision, isOptions, isReason, isReply, isSubnets } from './tapped.ts'

/** One packet on its way through the chain, filled stage by stage. Taps read it; what they want changed they return. */
export interface Exchange {
  readonly segment: Segment
  readonly packet: Packet
  readonly type: MessageType | undefined
  readonly classes: Classes
  /** Where the client may get an address, the likeliest first. */
  readonly subnets: readonly Subnet[]
  readonly decision: Decision | undefined
  /** The options of the reply, from the stage `options` on. */
  readonly options: ReadonlyMap<number, Buffer> | undefined
}

/**
 * Where plugins come in, synchronously: an answer waits for them. A waterfall's tap returns the value to go on with, or nothing to leave it as it is.
 * A tap that throws, or returns what cannot be used, is counted and logged, and the chain goes on as if it were not there.
 */
export interface DhcpHooks {
  /** bail: a short word (`a-z0-9-`) drops the packet, and is the reason it is counted under. */
  readonly parse: SyncBailHook<[Exchange], string | undefined>
  /** waterfall: the names of the client's classes. */
  readonly classify: SyncWaterfallHook<[Classes, Exchange]>
  /** waterfall: the subnets of the segment that come into question; none drops the packet. */
  readonly subnet: SyncWaterfallHook<[readonly Subnet[], Exchange]>
  /** waterfall: what is done. `{ kind: 'drop', reason: 'vetoed' }` refuses a client; an address given here must still be stored before it is acknowledged. */
  readonly address: SyncWaterfallHook<[Decision, Exchange]>
  /** waterfall: what an OFFER or ACK says there is to boot, on a VLAN in the mode `proxy` too; undefined: this client does not boot from the network. `bootOf` of the service makes one of another loader. */
  readonly boot: SyncWaterfallHook<[Boot | undefined, Exchange]>
  /** waterfall: the options of an OFFER or ACK, in the order in which they are written. Message type and server identifier stay. */
  readonly options: SyncWaterfallHook<[ReadonlyMap<number, Buffer>, Exchange]>
  /** waterfall: the whole reply, NAKs too. Whom it is for stays: xid, chaddr, yiaddr and giaddr. */
  readonly reply: SyncWaterfallHook<[Packet, Exchange]>
}
export type Stage = keyof DhcpHooks
/** What other plugins get of dhcp on a rack. */
export interface DhcpService {
  readonly hooks: DhcpHooks
  /** Port of the racks' HTTP, as clients are told it. */
  readonly httpPort: number
  /** What a client is told when its firmware is to get a loader of this kind; iPXE gets its script, whatever the kind. */
  bootOf(exchange: Exchange, kind: LoaderKind): Boot | undefined
  /** Says who knows whether a rack has a boot address now (its text); until then it is believed. Called for every reply: it has to be quick. */
  knowServed(served: (address: string) => boolean): void
  /** Says who knows which loader a machine's firmware gets over IPv6, where there is no hook; undefined: the usual one. */
  knowLoader(kindOf: (mac: string) => LoaderKind | undefined): void
}

export interface ChainOptions {
  readonly httpPort: number
  readonly firmwareLeaseSeconds: number
  /** Whether a client that asks for it gets its ACK at once (RFC 4039). Default: it does. */
  readonly rapidCommit?: boolean
  readonly log: Logger
  /** Hears of each failure of a tap, for counting. */
  readonly failed?: (stage: Stage, tap: string) => void
}

type Registering = Exclude<HookInterceptor<[unknown], unknown>['register'], undefined>
interface Guardable { intercept(interceptor: { register: Registering }): void }
type Usable = (value: unknown, exchange: Exchange, before: unknown) => boolean

/** Only powers of ten are logged: a tap that fails for every packet costs a handful of lines. */
const worthLogging = (count: number): boolean => count === 1 || count === 10 || count === 100 || (count >= 1000 && count % 1000 === 0 && Math.log10(count) % 1 === 0)

export class Chain implements DhcpService {
  readonly hooks: DhcpHooks
  /** What operators want clients to be told. */
  readonly told = new ToldBySubnet()
  private readonly options: ChainOptions
  private readonly failures = new Map<string, number>()
  private bootServed: (address: string) => boolean = () => true
  private kindOf: (mac: string) => LoaderKind | undefined = () => undefined
  private written = { address: -1, text: '' } // the boot address last asked for: every packet asks

  constructor (options: ChainOptions) {
    this.options = options
    this.hooks = Object.freeze({
      parse: this.guarded('parse', new SyncBailHook<[Exchange], string | undefined>(['exchange']), isReason),
      classify: this.guarded('classify', new SyncWaterfallHook<[Classes, Exchange]>(['classes', 'exchange']), isClasses),
      subnet: this.guarded('subnet', new SyncWaterfallHook<[readonly Subnet[], Exchange]>(['subnets', 'exchange']), isSubnets),
      address: this.guarded('address', new SyncWaterfallHook<[Decision, Exchange]>(['decision', 'exchange']), isDecision),
      boot: this.guarded('boot', new SyncWaterfallHook<[Boot | undefined, Exchange]>(['boot', 'exchange']), isBoot),
      options: this.guarded('options', new SyncWaterfallHook<[ReadonlyMap<number, Buffer>, Exchange]>(['options', 'exchange']), isOptions),
      reply: this.guarded('reply', new SyncWaterfallHook<[Packet, Exchange]>(['reply', 'exchange']), isReply)
    })
  }

  /** Parsed and classified; a string: the reason to drop it. */
  open (segment: Segment, packet: Packet): Step | string {
    const step = new Step(segment, packet)
    const { parse, classify } = this.hooks
    if (parse.taps.length > 0) {
      const reason = parse.call(step)
      if (reason !== undefined) return reason
    }
    if (classify.taps.length > 0) step.classes = classify.call(step.classes, step)
    return step
  }

  /** The stages `subnet` and `address`: what to do about the packet. `now` in ms since the epoch. */
  decide (step: Step, view: View, now: number): Decision {
    const { subnet, address } = this.hooks
    step.subnets = subnetsFor(step.segment, step.packet)
    if (subnet.taps.length > 0) step.subnets = subnet.call(step.subnets, step)
    step.decision = this.rapid(step, decide(view, step.packet, now, step.subnets, step.client), view)
    if (address.taps.length > 0) step.decision = address.call(step.decision, step)
    return step.decision
  }

  /** RFC 4039 section 3.1: what would be offered is bound at once, when the client says that it takes it; it asks again if that fails. */
  private rapid ({ packet }: Step, decision: Decision, { leads }: View): Decision {
    if (leads === true) return decision // only a guess that the racks above are silent: two of them would bind two addresses
    if (decision.kind !== 'offer' || this.options.rapidCommit === false || !packet.options.has(option.rapidCommit)) return decision
    return { ...decision, kind: 'bind', refused: 'drop' }
  }

  /** How long a lease is, in seconds: short for firmware and boot loaders, which never give one back; the system that boots asks again. */
  seconds (step: Step, subnet: Subnet): number {
    return step.classes.length > 0 && step.classes.includes('firmware') ? Math.min(subnet.leaseSeconds, subnet.firmwareSeconds ?? this.options.firmwareLeaseSeconds) : subnet.leaseSeconds
  }

  /** The stages `options` and `reply` of an OFFER or an ACK. */
  lease (kind: 'OFFER' | 'ACK', step: Step, lease: Lease): Packet {
    const { segment, packet } = step
    return this.finish(step, leaseReply(kind, segment, packet, lease, this.boot(step), this.told.of(segment, lease.subnet, packet.mac)))
  }

  /** The same for the ACK of an INFORM. */
  inform (step: Step, subnet: Subnet): Packet {
    const { segment, packet } = step
    return this.finish(step, informReply(segment, packet, subnet, this.boot(step), this.told.of(segment, subnet, packet.mac)))
  }

  /** A NAK: only the stage `reply`, since it carries no options of a subnet (RFC 2131 table 3). */
  nak (step: Step, reason: string): Packet {
    const reply = nakReply(step.segment, step.packet, reason)
    return this.hooks.reply.taps.length > 0 ? this.hooks.reply.call(reply, step) : reply
  }

  get httpPort (): number { return this.options.httpPort }

  bootOf ({ segment, packet }: Exchange, kind: LoaderKind): Boot | undefined { return bootOf(packet, this.bootAddress(segment), this.options.httpPort, kind) }

  knowServed (served: (address: string) => boolean): void { this.bootServed = served }
  knowLoader (kindOf: (mac: string) => LoaderKind | undefined): void { this.kindOf = kindOf }
  /** For DHCPv6, as the next. */
  loaderOf (mac: string): LoaderKind | undefined { return this.kindOf(mac) }
  /** For DHCPv6, which has no chain. */
  isServed (address: string): boolean { return this.bootServed(address) }

  /** A boot address that no rack has helps nobody: then it is this one's own. */
  private bootAddress ({ address, bootAddress }: Segment): number {
    if (bootAddress === undefined) return address
    if (this.written.address !== bootAddress) this.written = { address: bootAddress, text: ipText(bootAddress) }
    return this.bootServed(this.written.text) ? bootAddress : address
  }

  /** The stage `boot`. */
  boot (step: Step): Boot | undefined {
    const boot = bootOf(step.packet, this.bootAddress(step.segment), this.options.httpPort)
    if (this.hooks.boot.taps.length === 0) return boot
    return this.hooks.boot.call(boot === undefined ? undefined : { ...boot, options: new Map(boot.options), asked: new Map(boot.asked) }, step) // one Boot may serve many clients: taps get a copy
  }

  private finish (step: Step, reply: Packet): Packet {
    const { options, reply: whole } = this.hooks
    step.options = reply.options
    let made = reply
    if (options.taps.length > 0) {
      step.options = options.call(reply.options, step)
      made = { ...reply, options: step.options }
    }
    return whole.taps.length > 0 ? whole.call(made, step) : made
  }

  /** Wraps every tap as it is added: it gets a map of its own where the value is one, and what it returns is looked at. */
  private guarded<H extends Guardable> (stage: Stage, hook: H, usable: Usable): H {
    const failed = (tap: string, value: unknown): undefined => {
      if (value instanceof Promise) value.catch(() => {}) // nothing can wait for it here, and nobody else hears that it failed
      this.fail(stage, tap, 'it returned what cannot be used')
    }
    hook.intercept({
      register: tap => {
        const fn = tap.fn as (...args: unknown[]) => unknown
        const bail = (exchange: Exchange): unknown => {
          try {
            const value = fn(exchange)
            return value === undefined || usable(value, exchange, undefined) ? value : failed(tap.name, value)
          } catch (error) { return this.fail(stage, tap.name, reasonOf(error)) }
        }
        const waterfall = (before: unknown, exchange: Exchange): unknown => {
          try {
            const value = fn(before instanceof Map ? new Map(before) : before, exchange)
            return value === undefined || usable(value, exchange, before) ? value : failed(tap.name, value)
          } catch (error) { return this.fail(stage, tap.name, reasonOf(error)) }
        }
        return { ...tap, fn: stage === 'parse' ? bail : waterfall }
      }
    })
    return hook
  }

  private fail (stage: Stage, tap: string, reason: string): undefined {
    const key = `${stage} ${tap}`
    const count = (this.failures.get(key) ?? 0) + 1
    this.failures.set(key, count)
    this.options.failed?.(stage, tap)
    if (worthLogging(count)) this.options.log.warn({ stage, tap, count, reason }, 'an extension of the DHCP chain failed and was passed over')
  }
}

/** An exchange as the chain itself holds it: one object per packet. */
export class Step implements Exchange {
  readonly segment: Segment
  readonly packet: Packet
  readonly type: MessageType | undefined
  classes: Classes
  /** Who the client is to the referee: its MAC, or the client id an address is fixed for. */
  client: string
  subnets: readonly Subnet[] = []
  decision: Decision | undefined = undefined
  options: ReadonlyMap<number, Buffer> | undefined = undefined

  constructor (segment: Segment, packet: Packet) {
    this.segment = segment
    this.packet = packet
    this.client = packet.mac
    this.type = messageName(readU8(packet.options.get(option.messageType)))
    this.classes = classesOf(packet.options)
  }
}
