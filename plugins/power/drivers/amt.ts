/** amt: desktops and workstations with Intel AMT, by WS-Management. */
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { hostInUrl, parseBmcAddress, type AddressForm } from '../address.ts'
import { defineDriver } from '../driver.ts'
import { endOf, reach } from '../reach.ts'
import { changeOrder, cleared, useOnce } from './amt/boot.ts'
import { identityOf } from './amt/identity.ts'
import { exchangeWith, type Exchange } from './amt/service.ts'
import { accepted, requestFor, stateOf } from './amt/states.ts'
import { get, invoke, put, reference } from './amt/wsman.ts'

const form: AddressForm = { driver: 'amt', transports: ['https', 'http'], example: 'amt+https://admin:password@host' }
const usual = { https: 16993, http: 16992 } as const // registered for AMT

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'amt://host[:16993], or amt+http://host[:16992] where AMT was set up without TLS. May hold user:password@.' }),
  user: Type.Optional(Type.String({ minLength: 1, maxLength: 128, title: 'User name', description: 'admin when left out.' })),
  password: Type.Optional(Type.String({ maxLength: 256, title: 'Password', writeOnly: true })),
  tls: Type.Optional(Type.String({ pattern: '^(verify|insecure|sha256:([0-9a-fA-F]{2}:?){32})$', default: 'verify', title: 'Certificate', description: 'verify: it must be signed by a known authority. sha256:<fingerprint>: it must be exactly this one. insecure: any.' }))
}, { additionalProperties: false })

const serviceOf = async (exchange: Exchange): Promise<unknown> => (await exchange(get('CIM_AssociatedPowerManagementService'))).CIM_AssociatedPowerManagementService

export const amt = defineDriver({
  name: 'amt',
  title: 'Intel AMT',
  experimental: 'Its messages were compared with those of Intel\'s own library (wsman-messages), its digest with RFC 7616 and curl, and the flow was tried on a responder made here; no AMT, and none by somebody else, could be had.',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'], // its own resets and power cycles cannot be repeated safely; off and on can
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { transport, host, port, path, user, password } = parseBmcAddress(address, form)
    if (path !== '' && path !== '/wsman') throw new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'amt', reason: 'the address has a path, which AMT has not' })
    const written = transport === 'http' ? 'http' : 'https'
    return { address: `${written}://${hostInUrl(host)}:${port ?? usual[written]}`, ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }), ...rest }
  },

  endpoint ({ address }) {
    const { transport, host, port } = parseBmcAddress(address, form)
    return { by: 'tcp', host, port: port ?? usual[transport === 'http' ? 'http' : 'https'] }
  },

  query: async (parameters, options) => stateOf(await serviceOf(exchangeWith(parameters, options))),

  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'amt', action })
    const exchange = exchangeWith(parameters, options)
    const service = await serviceOf(exchange)
    if (stateOf(service) === endOf(action)) return { state: endOf(action) }
    const request = requestFor(service, action)
    if (action === 'on') await chooseBoot(exchange, options.boot)
    const { RequestPowerStateChange_OUTPUT: output } = await exchange(invoke('CIM_PowerManagementService', 'RequestPowerStateChange', { PowerState: request, ManagedElement: { raw: reference('CIM_ComputerSystem', { CreationClassName: 'CIM_ComputerSystem', Name: 'ManagedSystem' }) } }))
    accepted(output, action)
    return { state: await reach(async () => stateOf(await serviceOf(exchange)), action, options) }
  },

  async identify (parameters, options) {
    const exchange = exchangeWith(parameters, options)
    const { CIM_ComputerSystemPackage: system } = await exchange(get('CIM_ComputerSystemPackage'))
    const { CIM_Chassis: chassis } = await exchange(get('CIM_Chassis'))
    const { CIM_SoftwareIdentity: software } = await exchange(get('CIM_SoftwareIdentity', { InstanceID: 'AMT' }))
    return identityOf(system, chassis, software)
  }
})

/** The device of the next boot, or none: what an action that broke off has left would lead this one astray. */
async function chooseBoot (exchange: Exchange, boot: 'network' | 'disk' | null): Promise<void> {
  const { AMT_BootSettingData: settings } = await exchange(get('AMT_BootSettingData'))
  const without = cleared(settings)
  if (without !== undefined) await exchange(put('AMT_BootSettingData', without))
  accepted((await exchange(changeOrder(boot))).ChangeBootOrder_OUTPUT, `booting from ${boot === 'network' ? 'the network' : boot === 'disk' ? 'the disk' : 'the usual device'}`)
  if (boot !== null) accepted((await exchange(useOnce())).SetBootConfigRole_OUTPUT, 'a boot device for once')
}
