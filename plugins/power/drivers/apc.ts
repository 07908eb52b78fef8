/** apc: outlets of a switched PDU, by SNMP. It cuts the mains: what it knows is whether an outlet gives power, not whether a machine runs. */
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { hostInUrl, parseBmcAddress } from '../address.ts'
import { defineDriver, type Options } from '../driver.ts'
import { endOf, reach } from '../reach.ts'
import { authProtocols, privProtocols, withAgent, type Agent, type AuthName, type PrivName } from './apc/agent.ts'
import { outletsOf, pduNames, pdus, stateOf, together, type Pdu } from './apc/pdus.ts'

const usual = 161 // RFC 1157, section 4
const form = { driver: 'apc', example: 'apc://host/3' }
const outletList = '^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4}){0,15}$'
const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'apc', reason })

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'apc://host[:port][/outlets]. May hold user:password@ (SNMP version 3) or :community@.' }),
  outlets: Type.Optional(Type.String({ pattern: outletList, title: 'Outlets', description: 'The machine\'s outlet, or all of them: 3, or 3,4.' })),
  mib: Type.Optional(Type.Union(pduNames.map(name => Type.Literal(name)), { title: 'Kind of PDU', description: 'Found out when left out, by up to three questions each time.' })),
  version: Type.Optional(Type.Union([Type.Literal('1'), Type.Literal('2c'), Type.Literal('3')], { title: 'SNMP version', description: '3 when there is a user name, else 2c.' })),
  community: Type.Optional(Type.String({ minLength: 1, maxLength: 128, title: 'Community', description: 'One that may write. Versions 1 and 2c.', writeOnly: true })),
  user: Type.Optional(Type.String({ minLength: 1, maxLength: 32, title: 'User name', description: 'Version 3.' })),
  authProtocol: Type.Optional(Type.Union((Object.keys(authProtocols) as AuthName[]).map(name => Type.Literal(name)), { title: 'Authentication', default: 'sha' })),
  authPassword: Type.Optional(Type.String({ minLength: 8, maxLength: 256, title: 'Authentication password', writeOnly: true })),
  privProtocol: Type.Optional(Type.Union((Object.keys(privProtocols) as PrivName[]).map(name => Type.Literal(name)), { title: 'Privacy', default: 'aes' })),
  privPassword: Type.Optional(Type.String({ minLength: 8, maxLength: 256, title: 'Privacy password', writeOnly: true }))
}, { additionalProperties: false })
type Parameters = Static<typeof schema>

const placeOf = ({ address }: Parameters) => {
  const { host, port = usual } = parseBmcAddress(address, form)
  return { host, port }
}

export const apc = defineDriver({
  name: 'apc',
  title: 'APC rack PDU (SNMP)',
  experimental: 'It was tried against net-snmp\'s snmpd and against snmpsim, which served the outlet objects of APC\'s PowerNet-MIB; those objects were laid out here, and no PDU could be had.',
  parameters: schema,
  actions: ['on', 'off'], // its own reboot cannot be repeated safely; off and on can
  queries: true,
  boots: false,

  normalise ({ address, ...rest }) {
    const { host, port, path, user, password } = parseBmcAddress(address, form)
    const outlets = rest.outlets ?? (path === '' ? undefined : path.slice(1))
    if (outlets === undefined || !new RegExp(outletList).test(outlets)) throw invalid('it names no outlet; put it behind the address, like apc://host/3 or apc://host/3,4, or into outlets')
    const parameters = {
      address: `apc://${hostInUrl(host)}${port === undefined || port === usual ? '' : `:${port}`}`, outlets: outletsOf(outlets).join(','),
      ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : user === undefined ? { community: password } : { authPassword: password })
    }
    const all: Parameters = { ...parameters, ...rest, outlets: parameters.outlets }
    if ((all.version === '3') !== (all.user !== undefined) && all.version !== undefined) throw invalid(all.user === undefined ? 'version 3 needs a user name' : `version ${all.version} knows no user names, only a community`)
    return all
  },

  async query (parameters, options) {
    return await withPdu(parameters, options, async ({ states }) => together(await states()))
  },

  async power (parameters, action, options) {
    if (action === 'cycle' || action === 'shutdown') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'apc', action: action === 'shutdown' ? 'shutdown: a PDU cuts the mains, and tells the system nothing' : action })
    const wanted = endOf(action)
    return await withPdu(parameters, options, async ({ agent, pdu, outlets, states }) => {
      const before = await states()
      const wrong = outlets.filter((_, index) => before[index] !== wanted)
      for (const outlet of wrong) await agent.set(`${pdu.command}.${outlet}`, wanted === 'on' ? pdu.turnOn : pdu.turnOff)
      const state = wrong.length === 0 ? wanted : await reach(async () => together(await states(), wanted), action, options)
      return options.boot === null || action === 'off' ? { state } : { state, note: `The outlet gives power. A PDU cannot choose that the machine boots from ${options.boot === 'network' ? 'the network' : 'its disk'}, nor that it starts at all: its firmware must be set so.` }
    })
  }
})

interface Outlets { readonly agent: Agent, readonly pdu: Pdu, readonly outlets: readonly number[], states(): Promise<readonly ('on' | 'off' | undefined)[]> }

async function withPdu<T> (parameters: Parameters, options: Options, work: (outlets: Outlets) => Promise<T>): Promise<T> {
  const { mib, outlets: text = '', ...access } = parameters
  const outlets = outletsOf(text)
  return await withAgent({ ...access, ...placeOf(parameters) }, options, async agent => {
    const pdu = mib === undefined ? await kindOf(agent, outlets[0] ?? 0) : pdus[mib]
    return await work({
      agent, pdu, outlets,
      async states () {
        const found: ('on' | 'off' | undefined)[] = []
        for (const outlet of outlets) {
          const value = await agent.get(`${pdu.state}.${outlet}`)
          if (value === undefined) throw new BedplateError('POWER_REFUSED', { reason: `it has no switched outlet ${outlet} (as ${pdu.title})` })
          found.push(stateOf(pdu, value))
        }
        return found
      }
    })
  })
}

/** The first kind of PDU that knows the outlet. POWER_REFUSED. */
async function kindOf (agent: Agent, outlet: number): Promise<Pdu> {
  for (const name of pduNames) if (await agent.get(`${pdus[name].state}.${outlet}`) !== undefined) return pdus[name]
  throw new BedplateError('POWER_REFUSED', { reason: `it has no switched outlet ${outlet}, as no kind of PDU that is known (${pduNames.join(', ')})` })
}
