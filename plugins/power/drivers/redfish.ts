/** redfish: BMCs by DMTF Redfish (DSP0266, DSP0268): power, one-time boot, virtual media, and what they tell of their machine. */
import { Type } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { parseAddress } from '../address.ts'
import { defineDriver } from '../driver.ts'
import { firmware } from './redfish/firmware.ts'
import { identity } from './redfish/identity.ts'
import { records } from './redfish/records.ts'
import { drive, insertImage } from './redfish/media.ts'
import { systems } from './redfish/members.ts'
import { look, switchTo } from './redfish/power.ts'
import { sensors } from './redfish/sensors.ts'
import { withRedfish } from './redfish/service.ts'

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'URL of the BMC, or of one system on it: https://host[:port][/redfish/v1/Systems/1]. May begin with redfish+ and hold user:password@.' }),
  user: Type.Optional(Type.String({ maxLength: 128, title: 'User name' })),
  password: Type.Optional(Type.String({ maxLength: 256, title: 'Password', writeOnly: true })),
  tls: Type.Optional(Type.String({ pattern: '^(verify|insecure|sha256:([0-9a-fA-F]{2}:?){32})$', default: 'verify', title: 'Certificate', description: 'verify: it must be signed by a known authority. sha256:<fingerprint>: it must be exactly this one. insecure: any.' }))
}, { additionalProperties: false })

export const redfish = defineDriver({
  name: 'redfish',
  title: 'Redfish',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'], // ForceRestart and PowerCycle cannot be repeated safely; off and on can
  queries: true,
  boots: true,

  normalise ({ address, ...rest }) {
    const { url, ...credentials } = parseAddress(address)
    return { address: url, ...credentials, ...rest }
  },

  endpoint ({ address }) {
    const { protocol, hostname, port } = new URL(address)
    return { by: 'tcp', host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) }
  },

  query: (parameters, options) => withRedfish(parameters, options, look),
  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action })
    return await withRedfish(parameters, options, service => switchTo(service, action, options))
  },
  identify: (parameters, options) => withRedfish(parameters, options, identity),
  sensors: (parameters, options) => withRedfish(parameters, options, sensors),
  log: (parameters, options) => withRedfish(parameters, options, records),
  inventory: (parameters, options) => withRedfish(parameters, options, firmware),
  media: (parameters, options) => withRedfish(parameters, options, drive),
  insert: (parameters, image, options) => withRedfish(parameters, options, service => insertImage(service, image)),
  members: (parameters, options) => withRedfish(parameters, options, systems)
})
