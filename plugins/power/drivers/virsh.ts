/** virsh: virtual machines of libvirt, on a host reached over SSH or on the rack itself. For labs, and for machines that are virtual for good. */
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { hostInUrl, parseBmcAddress, pathInUrl, type AddressForm } from '../address.ts'
import { defineDriver, type Member, type Options } from '../driver.ts'
import type { PowerStateName } from '../manifest.ts'
import { endOf, reach } from '../reach.ts'
import { bootingFrom, domainsIn, identityIn, macsIn, stateFrom, uuidForm } from './virsh/domain.ts'
import { virshAt, type Virsh } from './virsh/virsh.ts'

const usualConnection = 'qemu:///system'
const form: AddressForm = { driver: 'virsh', transports: ['ssh', 'local'], hostless: ['local'], options: ['connection'], example: 'virsh+ssh://user@host/domain or virsh+local:///domain?connection=qemu:///system' }

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'virsh+ssh://[user@]host[:port]/domain, or virsh+local:///domain on the rack itself; domain is a name or a UUID. ?connection= is libvirt\'s URI there, qemu:///system when it is left out.' }),
  user: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9_.@-]*$', maxLength: 128, title: 'User name', description: 'On the host. It must be able to use libvirt, usually by the group libvirt.' })),
  key: Type.Optional(Type.String({ minLength: 1, maxLength: 16_384, title: 'Private key', description: 'In OpenSSH\'s or PEM\'s form, without a passphrase. Without it, the keys of the rack\'s own account.', writeOnly: true })),
  hostKey: Type.Optional(Type.String({ pattern: '^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,3}( [^\\r\\n]*)?$', maxLength: 2048, title: 'Host key', description: 'The host\'s public key, as in /etc/ssh/ssh_host_ed25519_key.pub. Without it, the known_hosts of the rack\'s own account; an unknown host is refused.' }))
}, { additionalProperties: false })
type Parameters = Static<typeof schema>

export const virsh = defineDriver({
  name: 'virsh',
  title: 'libvirt',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'],
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { transport, host, port, path, user, password, options: { connection = usualConnection } } = parseBmcAddress(address, form)
    const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'virsh', reason })
    if (password !== undefined) throw invalid('the address has a password; only keys are used: set key, or leave it to the rack\'s own account')
    if (!/^[a-z][a-z0-9+.-]*:[\x21-\x7e]*$/i.test(connection)) throw invalid('connection is not a URI of libvirt, like qemu:///system')
    if (host.startsWith('-')) throw invalid('no host begins with a hyphen')
    if (path.slice(1).includes('/') || /[\0-\x1f\x7f]/.test(path)) throw invalid('the address must end with one domain, in which a slash or a control character cannot be')
    if (transport === 'local' && (user !== undefined || rest.user !== undefined || rest.key !== undefined || rest.hostKey !== undefined)) throw invalid('on the rack itself there is no user, key or hostKey')
    return { address: written({ transport, host, port, domain: path.slice(1), connection }), ...(user === undefined ? {} : { user }), ...rest }
  },

  endpoint ({ address }) {
    const { transport, host, port = 22 } = parseBmcAddress(address, form)
    return transport === 'local' ? undefined : { by: 'tcp', host, port }
  },

  async query (parameters, options) {
    const command = commandFor(parameters, options)
    return await stateOf(command, await find(command, parameters))
  },

  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'virsh', action })
    const command = commandFor(parameters, options)
    const uuid = await find(command, parameters)
    if (await stateOf(command, uuid) === endOf(action)) return { state: endOf(action) }
    try {
      if (action === 'on') await start(command, uuid, options.boot)
      else await command([action === 'off' ? 'destroy' : 'shutdown', '--domain', uuid])
    } catch (error) { // somebody else may have done it in the meantime, which libvirt calls an error
      if (options.signal.aborted || !(error instanceof BedplateError && error.code === 'POWER_FAILED') || await stateOf(command, uuid) !== endOf(action)) throw error
    }
    return { state: await reach(() => stateOf(command, uuid), action, options) }
  },

  async identify (parameters, options) {
    const command = commandFor(parameters, options)
    return identityIn(await command(['dumpxml', '--inactive', '--domain', await find(command, parameters)]))
  },

  async members (parameters, options) {
    const command = commandFor(parameters, options)
    const { key: _, ...shown } = parameters
    const { options: { connection = usualConnection }, ...place } = parseBmcAddress(parameters.address, form)
    const members: Member[] = []
    for (const [uuid, name] of await all(command)) {
      members.push({ name, uuid, macs: macsIn(await command(['dumpxml', '--inactive', '--domain', uuid])), parameters: { ...shown, address: written({ ...place, domain: uuid, connection }) } })
    }
    return members
  }
})

const written = ({ transport, host, port, domain, connection }: { readonly transport: string | undefined, readonly host: string, readonly port: number | undefined, readonly domain: string, readonly connection: string }): string =>
  `virsh+${transport}://${hostInUrl(host)}${port === undefined || port === 22 ? '' : `:${port}`}${pathInUrl(`/${domain}`)}${connection === usualConnection ? '' : `?connection=${encodeURIComponent(connection)}`}`

function commandFor ({ address, ...access }: Parameters, options: Options): Virsh {
  const { transport, host, port = 22, options: { connection = usualConnection } } = parseBmcAddress(address, form)
  return virshAt(transport === 'local' ? undefined : { host, port, ...access }, connection, options)
}

/** Those that are defined: a transient one is lost when it is switched off. */
const all = async (command: Virsh) => domainsIn(await command(['list', '--all', '--persistent', '--uuid', '--name']))

/** The UUID of the address's domain. By it alone it is called from here on: virsh takes a name that is a number for an ID, and a name is anybody's text. */
async function find (command: Virsh, { address }: Parameters): Promise<string> {
  const wanted = parseBmcAddress(address, form).path.slice(1)
  if (wanted === '') throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'virsh', reason: 'the address names no domain; end it with /<name or UUID>' })
  const domains = await all(command)
  const uuid = uuidForm.test(wanted.toLowerCase()) ? wanted.toLowerCase() : [...domains].find(([, name]) => name === wanted)?.[0]
  if (uuid === undefined || !domains.has(uuid)) throw new BedplateError('POWER_REFUSED', { reason: `it has no domain ${wanted} that is defined (a transient one would be lost when it is switched off)` })
  return uuid
}

const stateOf = async (command: Virsh, uuid: string): Promise<PowerStateName> => stateFrom(await command(['domstate', '--domain', uuid]))

/**
 * libvirt knows no one-time boot device. But a defined domain that is off can be created from a description of its own: that lasts until it is switched off, and the definition stays as it is, so
 * nothing is to be put back, whatever dies.
 */
async function start (command: Virsh, uuid: string, boot: 'network' | 'disk' | null): Promise<void> {
  if (boot === null) await command(['start', '--domain', uuid])
  else await command(['create', '--file', '/dev/stdin'], bootingFrom(await command(['dumpxml', '--inactive', '--security-info', '--domain', uuid]), boot))
}
