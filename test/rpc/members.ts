/** Regions and racks as processes in namespaces of their own: a network for the links, another for the database, each cable of which can be cut. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createNetwork, type Namespace, type TestNetwork } from '../kit/network.ts'
import { until } from '../kit/wait.ts'
import type { MemberRole, RackRole, RegionRole, Told } from './member.ts'

const program = join(import.meta.dirname, 'member.ts')

/** A process that can be asked, hung, killed and started again. */
export class Member<R extends MemberRole = MemberRole> {
  readonly role: R
  readonly namespace: Namespace
  readonly news: string[] = []
  #child: ChildProcess | undefined
  #next = 1
  readonly #waiting = new Map<number, (told: Told) => void>()

  constructor (namespace: Namespace, role: R) { this.namespace = namespace; this.role = role }

  async start (): Promise<this> {
    this.news.length = 0
    const child = this.#child = this.namespace.node(program, [JSON.stringify(this.role)])
    child.on('message', (told: Told) => {
      if (told.news !== undefined) this.news.push(told.news)
      this.#waiting.get(told.id)?.(told)
      this.#waiting.delete(told.id)
    })
    await until(() => { if (child.exitCode !== null) throw new TypeError(`it ended with ${child.exitCode}`); return this.news.includes('ready') }, { timeout: 40_000, what: `${this.role.role} to be ready` })
    return this
  }

  ask<T> (ask: string, argument?: unknown): Promise<T> {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, told => { if (told.error === undefined) resolve(told.result as T); else reject(new TypeError(told.error.message)) })
      this.#child?.send({ id, ask, argument })
    })
  }

  signal (name: 'SIGSTOP' | 'SIGCONT'): void { this.#child?.kill(name) }

  async kill (): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}

export interface Place { readonly namespace: Namespace, readonly name: string, readonly address: string }

/** The networks: `links` and `database` are bridges of one namespace, on which each place has a cable. */
export class Cabling {
  readonly #network: TestNetwork
  readonly hub: Namespace

  private constructor (network: TestNetwork, hub: Namespace) { this.#network = network; this.hub = hub }

  static async lay (): Promise<Cabling> {
    const network = await createNetwork()
    const hub = await network.namespace()
    await network.bridge(hub, 'links')
    await network.bridge(hub, 'database', ['10.78.0.1/24'])
    return new Cabling(network, hub)
  }

  async place (number: number): Promise<Place> {
    const namespace = await this.#network.namespace()
    await this.#network.cable({ namespace, name: 'links', addresses: [`10.77.0.${number}/24`] }, { namespace: this.hub, name: `links${number}`, bridge: 'links' })
    await this.#network.cable({ namespace, name: 'database', addresses: [`10.78.0.${number}/24`] }, { namespace: this.hub, name: `database${number}`, bridge: 'database' })
    return { namespace, name: String(number), address: `10.77.0.${number}` }
  }

  /** Cuts or mends a place's cable, in the middle: neither end is told. */
  async cable (of: Place, which: 'links' | 'database', state: 'up' | 'down'): Promise<void> {
    const { code, stderr } = await this.hub.exec(['ip', 'link', 'set', `${which}${of.name}`, state])
    if (code !== 0) throw new TypeError(stderr)
  }

  destroy (): Promise<void> { return this.#network.destroy() }
}

export type RegionMember = Member<RegionRole>
export type RackMember = Member<RackRole>
