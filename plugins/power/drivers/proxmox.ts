/** proxmox: virtual machines of a Proxmox VE cluster, by its API. */
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { hostInUrl, parseBmcAddress, type AddressForm } from '../address.ts'
import { defineDriver, type Member, type Options } from '../driver.ts'
import { endOf } from '../reach.ts'
import { object, text } from '../connection/json.ts'
import { apiOf } from './proxmox/session.ts'
import { identityOf, macsOf } from './proxmox/guest.ts'
import { machineOf, machines, type Machine } from './proxmox/machine.ts'

const usual = 8006
const form: AddressForm = { driver: 'proxmox', transports: ['https', 'http'], example: 'proxmox://host/100' }
const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'proxmox', reason })

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'Any node of the cluster: proxmox://host[:8006][/node]/vmid. May hold user@realm (with %40 for its @) and a password, or user@realm!token and its secret.' }),
  vmid: Type.Optional(Type.Integer({ minimum: 100, maximum: 999_999_999, title: 'VM number' })),
  node: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$', title: 'Node', description: 'Where it is looked for first; left out, the cluster is asked.' })),
  token: Type.Optional(Type.String({ pattern: '^[^\\s@!=]+@[^\\s@!=]+![^\\s@!=]+=\\S+$', maxLength: 512, title: 'API token', description: 'user@realm!name=secret. With the privileges VM.Audit, VM.PowerMgmt and, for boot devices, VM.Config.Options.', writeOnly: true })),
  user: Type.Optional(Type.String({ pattern: '^\\S+@[^\\s@]+$', maxLength: 64, title: 'User name', description: 'user@realm, where there is no token.' })),
  password: Type.Optional(Type.String({ maxLength: 256, title: 'Password', writeOnly: true })),
  tls: Type.Optional(Type.String({ pattern: '^(verify|insecure|sha256:([0-9a-fA-F]{2}:?){32})$', default: 'verify', title: 'Certificate', description: 'verify: it must be signed by a known authority. sha256:<fingerprint>: it must be exactly this one. insecure: any.' }))
}, { additionalProperties: false })
type Parameters = Static<typeof schema>

export const proxmox = defineDriver({
  name: 'proxmox',
  title: 'Proxmox VE',
  experimental: 'It was checked against the definitions of the API that Proxmox publishes with its source, and a responder that was made here after them, which a client by others (proxmoxer) takes for one; no Proxmox VE could be had.',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'], // its own reset and reboot cannot be repeated safely; off and on can
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { transport, host, port = usual, path, user, password } = parseBmcAddress(address, form)
    const [, node, number] = /^(?:\/([^/]+))?\/(\d+)$/.exec(path) ?? []
    if (path !== '' && number === undefined) throw invalid('behind the host the address has a VM number, or a node and one: proxmox://host/node/100')
    const login = user === undefined ? {} : user.includes('!') ? { token: `${user}=${password ?? ''}` } : { user, ...(password === undefined ? {} : { password }) }
    return { address: `${transport}://${hostInUrl(host)}:${port}`, ...(number === undefined ? {} : { vmid: Number(number) }), ...(node === undefined ? {} : { node }), ...login, ...rest }
  },

  endpoint ({ address }) {
    const { hostname, port } = new URL(address)
    return { by: 'tcp', host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (address.startsWith('http:') ? 80 : 443) : Number(port) }
  },

  query: async (parameters, options) => await chosen(parameters, options).state(),

  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'proxmox', action })
    const machine = chosen(parameters, options)
    const wanted = endOf(action)
    if (await machine.state() !== wanted) await machine.switch(action, action === 'on' ? options.boot : null)
    else if (action === 'on') await machine.settle() // whoever started it may have died before
    return { state: wanted }
  },

  async identify (parameters, options) {
    const version = object(await apiOf(parameters, options).ask('GET', '/version'))
    return { ...identityOf(await chosen(parameters, options).config()), bmcVersion: text(version.version) ?? null }
  },

  async members ({ address, tls, ...parameters }, options) {
    const api = apiOf({ address, ...(tls === undefined ? {} : { tls }), ...parameters }, options)
    const found: Member[] = []
    for (const { vmid, node, name } of await machines(api)) {
      const config = await machineOf(api, vmid, node, options).config()
      found.push({ name, parameters: { address, vmid, ...(tls === undefined ? {} : { tls }), ...(parameters.user === undefined ? {} : { user: parameters.user }) }, uuid: identityOf(config).uuid, macs: macsOf(config) })
    }
    return found
  }
})

/** The machine that is meant. POWER_PARAMETERS_INVALID: the cluster alone is named, which is enough to list what is in it. */
function chosen (parameters: Parameters, options: Options): Machine {
  if (parameters.vmid === undefined) throw invalid('no VM number is named; put it behind the address, like proxmox://host/100')
  return machineOf(apiOf(parameters, options), parameters.vmid, parameters.node, options)
}
