/** webhook: somebody's HTTP(S) endpoint switches the machine. docs/guides/power-webhook.md is for whoever writes one. */
import { randomUUID } from 'node:crypto'
import { Type, type Static } from 'typebox'
import { BedplateError } from '../../../core/errors.ts'
import { hostInUrl, parseBmcAddress, pathInUrl, type AddressForm } from '../address.ts'
import { defineDriver, type Options, type Start } from '../driver.ts'
import { endOf, reach } from '../reach.ts'
import { connect } from '../connection/connection.ts'
import { signature, stateIn, type Action, type Message } from './webhook/message.ts'

const form: AddressForm = { driver: 'webhook', transports: ['https', 'http'], example: 'webhook+https://host/hooks/power' }
const usual = { https: 443, http: 80 } as const

const schema = Type.Object({
  address: Type.String({ minLength: 1, maxLength: 512, title: 'Address', description: 'URL of the endpoint: https://host[:port]/path. May begin with webhook+; user:password@ becomes HTTP Basic authorization.' }),
  secret: Type.String({ minLength: 16, maxLength: 256, title: 'Secret', description: 'Signs each request (HMAC-SHA256); the endpoint has the same.', writeOnly: true }),
  machine: Type.String({ minLength: 1, maxLength: 256, title: 'Machine', description: 'What the endpoint calls this machine.' }),
  authorization: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]+( [\\x20-\\x7e]*)?$', maxLength: 2048, title: 'Authorization', description: 'An Authorization header, for what stands in front of the endpoint: Bearer …, Basic ….', writeOnly: true })),
  tls: Type.Optional(Type.String({ pattern: '^(verify|insecure|sha256:([0-9a-fA-F]{2}:?){32})$', default: 'verify', title: 'Certificate', description: 'verify: it must be signed by a known authority. sha256:<fingerprint>: it must be exactly this one. insecure: any.' }))
}, { additionalProperties: false })

export const webhook = defineDriver({
  name: 'webhook',
  title: 'Webhook',
  parameters: schema,
  actions: ['on', 'off', 'shutdown'],
  queries: true, // an endpoint that cannot tell says unknown
  boots: true,

  normalise ({ address, ...rest }) {
    const { transport, host, port, path, user, password = '' } = parseBmcAddress(address, form)
    const written = transport === 'http' ? 'http' : 'https'
    return {
      address: `${written}://${hostInUrl(host)}${port === undefined || port === usual[written] ? '' : `:${port}`}${pathInUrl(path)}`,
      ...(user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }), ...rest
    }
  },

  endpoint ({ address }) {
    const { host, port, transport } = parseBmcAddress(address, form)
    return { by: 'tcp', host, port: port ?? usual[transport === 'http' ? 'http' : 'https'] }
  },

  query: async (parameters, options) => await ask(parameters, options, 'status'),

  async power (parameters, action, options) {
    if (action === 'cycle') throw new BedplateError('POWER_UNSUPPORTED', { driver: 'webhook', action })
    const before = await ask(parameters, options, 'status')
    if (before === endOf(action)) return { state: before }
    const after = await ask(parameters, options, action, options)
    // one that knew the state neither before nor after will not learn it: what it took is all there is to tell
    if (before === 'unknown' && after === 'unknown') return { state: 'unknown', note: 'The endpoint took the order and cannot tell the state: look whether the machine followed.' }
    return { state: after === endOf(action) ? after : await reach(() => ask(parameters, options, 'status'), action, options) }
  }
})

/** One signed request, on a connection of its own. */
async function ask ({ address, secret, machine, authorization, tls = 'verify' }: Static<typeof schema>, options: Options, action: Action, { boot, firmware }: Start = { boot: null }) {
  const message: Message = { id: randomUUID(), at: new Date(options.clock.now()).toISOString(), machine, action, boot: action === 'on' ? boot : null, firmware: firmware ?? null }
  const body = JSON.stringify(message)
  const url = new URL(address)
  const connection = connect(url, tls)
  try {
    const headers = { 'x-bedplate-signature': signature(secret, body), ...(authorization === undefined ? {} : { authorization }) }
    const answer = await connection.send('POST', url.pathname, headers, body, { signal: options.signal, limit: options.pace.request })
    return stateIn(action, answer.status, answer.body)
  } finally { connection.close() }
}
