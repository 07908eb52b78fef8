/** ipmi: BMCs by IPMI 2.0 (RMCP+), and 1.5, over LAN: ../../../ipmi, which knows nothing of Bedplate. */
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { suiteNumbered } from '../../../ipmi/ciphers.ts'
import type { Target } from '../../../ipmi/client/terms.ts'
import { chassisControl, control, getChassisStatus } from '../../../ipmi/commands/chassis.ts'
import { rmcpPort } from '../../../ipmi/rmcp.ts'
import { hostInUrl, parseBmcAddress } from '../address.ts'
import { defineDriver, type Options } from '../driver.ts'
import { endOf, reach } from '../reach.ts'
import { bootOnce } from './ipmi/boot.ts'
import { asking, keyFrom, type Bmc } from './ipmi/connection.ts'
import { identify, log, sensors } from './ipmi/hardware.ts'

const names = ['cipher', 'privilege', 'lan', 'efi', 'guid'] as const
const form = { driver: 'ipmi', options: names, example: 'ipmi://user:password@host?cipher=17' }
const invalid = (reason: string) => new BedplateError('POWER_PARAMETERS_INVALID', { driver: 'ipmi', reason })

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'ipmi://host[:port], port 623 unless another is said. May hold user:password@, and ?cipher=…&privilege=…&lan=…&efi=…&guid=….' }),
  user: Type.Optional(Type.String({ maxLength: 16, title: 'User name', description: 'Up to 16 bytes.' })),
  password: Type.Optional(Type.String({ maxLength: 20, title: 'Password', description: 'Up to 20 bytes, 16 with IPMI 1.5.', writeOnly: true })),
  kg: Type.Optional(Type.String({ minLength: 1, maxLength: 42, title: 'Key K_g', description: 'The BMC\'s own key, where it has one: up to 20 characters, or 0x and up to 40 hexadecimal digits.', writeOnly: true })),
  cipher: Type.Optional(Type.String({ pattern: '^(auto|1|2|3|15|16|17)$', default: 'auto', title: 'Cipher suite', description: 'auto: the best the BMC offers of those that sign, 17 before 3.' })),
  privilege: Type.Optional(Type.Union([Type.Literal('user'), Type.Literal('operator'), Type.Literal('administrator')], { default: 'operator', title: 'Privilege level', description: 'What the session may do. Switching takes operator.' })),
  lan: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('2.0'), Type.Literal('1.5')], { default: 'auto', title: 'Version of IPMI', description: 'auto: 2.0, and 1.5 with a BMC that says it has nothing else. With 1.5 said here the password may go in the clear where the BMC takes no other.' })),
  efi: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('yes'), Type.Literal('no')], { default: 'auto', title: 'UEFI', description: 'Whether a boot device is set for UEFI. auto: as the machine is known to boot.' })),
  guid: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('smbios'), Type.Literal('ipmi'), Type.Literal('rfc4122')], { default: 'auto', title: 'Byte order of the UUID', description: 'How the BMC sends the machine\'s UUID. auto: the first of smbios, ipmi and rfc4122 that makes a sound one of it; a BMC that sends it as written (rfc4122) may be read wrongly, and needs this.' }))
}, { additionalProperties: false })
type Parameters = Static<typeof schema>

const placeOf = ({ address }: Parameters) => {
  const { host, port = rmcpPort } = parseBmcAddress(address, form)
  return { host, port }
}
const withBmc = <T>(parameters: Parameters, options: Options, work: (bmc: Bmc) => Promise<T>): Promise<T> => asking(targetOf(parameters), options, work)
/** Worked out once for each set of parameters: a rack polls with the same ones for hours, and reading a URL takes as long as a poll. */
const targets = new WeakMap<Parameters, Target>()
function targetOf (parameters: Parameters): Target {
  const known = targets.get(parameters)
  if (known !== undefined) return known
  const { user = '', password = '', kg, cipher = 'auto', privilege = 'operator', lan = 'auto' } = parameters
  const key = keyFrom(kg)
  const target: Target = { ...placeOf(parameters), user, password, privilege, lan, ...(key === undefined ? {} : { kg: key }), ...(cipher === 'auto' ? {} : { cipher: Number(cipher) }) }
  targets.set(parameters, target)
  return target
}
const stateAt = async ({ ask }: Bmc) => (await ask(getChassisStatus, undefined)).on ? 'on' : 'off'

export const ipmi = defineDriver({
  name: 'ipmi',
  title: 'IPMI',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'], // its own power cycle cannot be repeated safely; off and on can
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { host, port, path, options, transport: _, ...credentials } = parseBmcAddress(address, form)
    if (path !== '') throw invalid(`the address has a path; write it like ${form.example}`)
    if (Object.keys(options).some(name => Object.hasOwn(rest, name) && options[name] !== Reflect.get(rest, name))) throw invalid('the address has an option that is given beside it, too, and is something else there')
    const all = { address: `ipmi://${hostInUrl(host)}${port === undefined || port === rmcpPort ? '' : `:${port}`}`, ...credentials, ...options, ...rest } as Parameters
    for (const [name, value, limit] of [['user name', all.user, 16], ['password', all.password, all.lan === '1.5' ? 16 : 20]] as const) if (Buffer.byteLength(value ?? '') > limit) throw invalid(`the ${name} has more than the ${limit} bytes IPMI has room for`)
    if (all.cipher !== undefined && all.cipher !== 'auto' && suiteNumbered(Number(all.cipher)) === undefined) throw invalid('there is no such cipher suite')
    keyFrom(all.kg)
    return all
  },

  endpoint: parameters => ({ by: 'ipmi', ...placeOf(parameters) }),

  async query (parameters, options) { return await withBmc(parameters, options, stateAt) },

  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'ipmi', action })
    return await withBmc(parameters, options, async bmc => {
      const wanted = endOf(action)
      if (await stateAt(bmc) !== wanted) {
        if (action === 'on' && options.boot !== null) await bootOnce(bmc, options.boot, parameters.efi === 'yes' || (parameters.efi !== 'no' && options.firmware === 'uefi'))
        await bmc.ask(chassisControl, control[action])
        await reach(() => stateAt(bmc), action, options)
      }
      return { state: wanted }
    })
  },

  identify: (parameters, options) => withBmc(parameters, options, bmc => identify(bmc, parameters.guid)),
  sensors: (parameters, options) => withBmc(parameters, options, sensors),
  log: (parameters, options) => withBmc(parameters, options, log)
})
