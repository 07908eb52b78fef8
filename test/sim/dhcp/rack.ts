/** A rack in the world: a host with a disk, on which a process with the real decision code lives, dies and starts again. */
import type { Clock } from '../../../core/clock.ts'
import type { Dice } from '../dice.ts'
import type { Process } from '../process.ts'
import type { World } from '../world.ts'
import type { Air, Ear, Send } from './air.ts'
import type { Disk } from './journal-disk.ts'
import type { Outbox } from './facts.ts'
import { Host } from './host.ts'
import type { Links } from './links.ts'
import type { Subscription, Taker, WantedEntry, WantedKey } from './publisher.ts'

/** The assembled decision code of one process. */
export interface RackParts {
  apply (put: readonly WantedEntry[], remove: readonly WantedKey[], whole: boolean): void
  receive (segment: string, data: Buffer, send: Send): void
  start (): void
  /** What it does from time to time. */
  reconcile (): void
}
export interface RackWorld {
  readonly name: string, readonly clock: Clock, readonly process: Process, readonly host: Host, readonly disk: Disk
  call<T> (method: string, params: unknown, options: { readonly timeout: number, readonly idempotent: boolean }): Promise<T>
  report (kind: string, body: unknown): void
  note (line: () => string): void
}
export type MakeRack = (world: RackWorld) => RackParts

const reconcileEvery = 15_000

export class Rack implements Ear, Taker {
  readonly name: string
  readonly host: Host
  readonly disk: Disk
  readonly addresses: ReadonlyMap<string, string>
  subscription!: Subscription
  outbox!: Outbox
  process: Process | undefined
  parts: RackParts | undefined
  /** Since when nothing is done to it, world time. */
  since = 0
  starts = 0
  take: Taker['take']
  /** Set: it is paused for so many ms as soon as its next wishes are on their way, until that moment at most, and finds their answer when it goes on. */
  pausing: { readonly ms: number, readonly until: number } | undefined
  private heard: (() => void)[] = [] // in its socket while it is paused
  private readonly o: { readonly world: World, readonly dice: Dice, readonly air: Air, readonly links: Links, readonly make: MakeRack, readonly drift: number }

  constructor (name: string, disk: Disk, addresses: ReadonlyMap<string, string>, o: Rack['o']) {
    this.name = name
    this.disk = disk
    this.addresses = addresses
    this.o = o
    this.host = new Host(o.world, o.dice, name, o.drift)
    o.air.join(this)
  }

  at (segment: string): string | undefined { return this.addresses.get(segment) }
  disturbed (): void { this.since = this.o.world.now }
  get well (): boolean { return this.process !== undefined && !this.process.paused && this.disk.failing === 0 && this.disk.crash === undefined }

  start (): void {
    if (this.process !== undefined) return
    const { world, links, make } = this.o
    world.tell(`${this.name}: starts`)
    this.starts++
    this.disturbed()
    const { process, clock } = this.host.spawn()
    this.process = process
    this.disk.open(process, () => { this.kill(); world.after(this.o.dice.between(500, 4_000), () => { this.start() }) })
    const parts = make({ name: this.name, note: line => { world.note(line) }, clock, process, host: this.host, disk: this.disk, call: (method, params, options) => { if (method === 'bind') this.stopAfter(process); return links.call(this.name, process, method, params, options) }, report: (kind, body) => { this.outbox.report(kind, body, clock.now()) } })
    this.parts = parts
    this.take = (put, remove, whole) => { parts.apply(put, remove, whole) }
    parts.apply([...this.subscription.kept.values()], [], true)
    parts.start()
    this.subscription.kick()
    this.outbox.kick()
    this.tick(process)
  }

  private tick (process: Process): void {
    this.o.world.after(this.o.dice.between(0.5, 1) * reconcileEvery, () => {
      if (!process.alive) return
      process.enter(() => { if (process.alive) this.parts?.reconcile() })
      this.tick(process)
    })
  }

  kill (): void {
    if (this.process === undefined) return
    this.process.kill()
    this.process = undefined
    this.parts = undefined
    this.take = undefined
    this.heard = []
  }

  pause (): void { this.process?.pause() }

  /** Packets and what came over links wait in sockets of their own: it may read either first. */
  resume (): void {
    const { process, o: { world, dice } } = this
    if (process?.paused !== true) return
    const first = dice.chance(0.5)
    const heard = this.heard
    this.heard = []
    const read = (ms: number): void => { for (const happen of heard) world.after(ms, () => { process.enter(happen) }) }
    if (first) read(0)
    process.resume()
    if (!first) read(dice.between(0, 0.05)) // among what else is due, or after all of it
    this.disturbed()
  }

  private stopAfter (process: Process): void {
    const { world } = this.o
    const { pausing } = this
    if (pausing === undefined) return
    this.pausing = undefined
    world.after(0, () => {
      if (!process.alive || process.paused || world.now >= pausing.until) return
      world.tell(`${this.name}: paused while its wishes are on their way`)
      process.pause()
      world.at(Math.min(world.now + pausing.ms, pausing.until), () => { if (this.process === process) { world.tell(`${this.name}: goes on`); this.resume() } })
    })
  }

  hear (segment: string, data: Buffer, send: Send): void {
    const { process } = this
    if (process === undefined) return
    const take = (): void => {
      if (!process.alive) return
      this.parts?.receive(segment, data, (reply, port, address) => { if (process.alive) send(reply, port, address) })
    }
    if (process.paused) this.heard.push(take)
    else process.enter(take)
  }
}
