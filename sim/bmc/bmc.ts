/** A simulated BMC: what `bedplate sim bmc`, the lab and the tests start. */
import { BedplateError } from '../../core/errors.ts'
import type { Machine } from '../machine/machine.ts'
import { createNothing } from '../machine/nothing.ts'
import { selfSigned } from './certificate.ts'
import { createFaults, type Faults } from './faults.ts'
import { createModel, type Account, type Event, type Model } from './model.ts'
import type { Profile } from './profile.ts'
import { profileNamed } from './profiles.ts'
import { startIpmi } from './ipmi/service.ts'
import type { IpmiSession } from './ipmi/sessions.ts'
import { startRedfish, type RedfishService, type Tls } from './redfish/service.ts'
import type { RedfishSession } from './redfish/sessions.ts'

export const defaultAccount: Account = { user: 'admin', password: 'password', privilege: 'administrator' }

export interface BmcOptions {
  readonly host?: string // 127.0.0.1
  /** `tls`: true for a certificate of its own, false for HTTP. Port 0: any. Left out: no Redfish. */
  readonly redfish?: { readonly port?: number, readonly tls?: boolean | Tls }
  /** Port 0: any. `kg`: the key of two-key logins, up to 20 bytes. Left out: no IPMI. */
  readonly ipmi?: { readonly port?: number, readonly kg?: string | Buffer }
  readonly account?: Account
  readonly accounts?: readonly Account[] // more of them
  readonly profile?: string | Partial<Profile> // `generic`, or what is different from it
  readonly faults?: Partial<Faults>
  /** What it powers: one machine made of nothing unless told otherwise; several for a chassis. */
  readonly machine?: Machine
  readonly machines?: readonly [Machine, ...Machine[]]
  readonly heard?: (event: Event) => void
}
export interface Bmc {
  readonly host: string
  readonly model: Model
  readonly machine: Machine // the first
  readonly machines: readonly Machine[]
  readonly account: Account
  readonly faults: Faults
  /** What was asked of it, the newest last: `POST /redfish/v1/… ForceOff`. */
  readonly log: string[]
  readonly redfish?: {
    readonly url: string, readonly port: number, readonly server: RedfishService['server']
    readonly fingerprint: string | undefined // SHA-256 of its own certificate
    readonly certificate: string | undefined // PEM
    readonly sessions: ReadonlyMap<string, RedfishSession> // by token
    /** For a machine's power parameters: `redfish+https://user:password@host:port/redfish/v1/Systems/1`; of the whole BMC without a machine. */
    address(machine?: number): string
  }
  readonly ipmi?: {
    readonly port: number
    readonly sessions: ReadonlyMap<number, IpmiSession>
    /** For a machine's power parameters: `ipmi://user:password@host:port`. */
    address(): string
  }
  close(): Promise<void>
}

const longest = 20
const inUrl = (host: string): string => host.includes(':') ? `[${host}]` : host
const login = ({ user, password }: Account): string => `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`

/** Resolves once it can be asked. Rejects with NOT_FOUND for an unknown profile, OPTION_INVALID for a password or key that IPMI cannot hold, and with what the sockets say. */
export async function startBmc ({ host = '127.0.0.1', redfish, ipmi, account = defaultAccount, accounts = [], profile, faults, machine, machines, heard }: BmcOptions = {}): Promise<Bmc> {
  const all = machines ?? [machine ?? createNothing()] as const
  const model = createModel({ profile: profileNamed(profile), accounts: [account, ...accounts], faults: createFaults(faults), machines: all, heard })
  const undo: (() => Promise<void> | void)[] = [() => { model.close() }]
  try {
    let offered: Bmc['redfish']
    if (redfish !== undefined) {
      const own = redfish.tls === true ? selfSigned(host) : undefined
      const tls = own ?? (typeof redfish.tls === 'object' ? redfish.tls : undefined)
      const service = await startRedfish(model, host, redfish.port ?? 0, tls)
      undo.push(() => service.close())
      const scheme = tls === undefined ? 'http' : 'https'
      const at = `${inUrl(host)}:${service.port}`
      const slash = model.profile.slash ? '/' : ''
      offered = {
        url: `${scheme}://${at}`, port: service.port, server: service.server, fingerprint: own?.fingerprint, certificate: own?.cert, sessions: service.sessions.open,
        address: index => `redfish+${scheme}://${login(account)}${at}${index === undefined ? '' : `/redfish/v1/Systems/${model.systems[index]?.id ?? model.systems[0].id}${slash}`}`
      }
    }
    let spoken: Bmc['ipmi']
    if (ipmi !== undefined) {
      const kg = ipmi.kg === undefined ? undefined : Buffer.from(ipmi.kg)
      for (const [what, bytes] of [...model.accounts.map(({ user, password }) => [`password of ${user}`, Buffer.from(password)] as const), ['K_g', kg ?? Buffer.alloc(0)] as const]) {
        if (bytes.length > longest) throw new BedplateError('OPTION_INVALID', { option: what, reason: `IPMI has room for ${longest} bytes, it has ${bytes.length}` })
      }
      const service = await startIpmi(model, host, ipmi.port ?? 0, kg)
      undo.push(() => service.close())
      const { port } = service
      spoken = { port, sessions: service.sessions.all, address: () => `ipmi://${login(account)}${inUrl(host)}${port === 623 ? '' : `:${port}`}` }
    }
    return {
      host, model, machine: all[0], machines: all, account, faults: model.faults, log: model.requests, ...offered === undefined ? {} : { redfish: offered }, ...spoken === undefined ? {} : { ipmi: spoken },
      async close () { for (const step of undo.splice(0).reverse()) await step() }
    }
  } catch (error) {
    for (const step of undo.reverse()) await step()
    throw error
  }
}
