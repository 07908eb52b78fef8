/** What the redfish driver is tried with on a service: its whole repertoire. Each gives what it saw, in a few words, or throws. */
import { BedplateError } from '../../../core/errors.ts'
import type { Options, Start } from '../../../plugins/power/driver.ts'
import { redfish } from '../../../plugins/power/drivers/redfish.ts'
import { withRedfish } from '../../../plugins/power/drivers/redfish/service.ts'
import { createKept } from '../../../plugins/power/kept.ts'
import type { Parameters } from '../../../plugins/power/parameters.ts'

export interface Subject { readonly parameters: Parameters & { readonly address: string, readonly user?: string, readonly password?: string }, readonly options: Options, readonly image: string | undefined }
export interface Check {
  readonly name: string
  /** It switches the machine or changes something: not for a machine somebody works on. */
  readonly switches?: true
  /** Resolves with what was seen; NotTried with why not; rejects with a failure. */
  run(subject: Subject): Promise<string>
}
/** Nothing of the service's: the run was not told what it needs. */
export class NotTried extends Error {}
/** The service has no such thing, or the account does not show it. */
const notOffered = (action: string) => new BedplateError('POWER_UNSUPPORTED', { driver: 'redfish', action })
const failed = (reason: string) => new BedplateError('POWER_FAILED', { action: 'check', reason })
const ensure = (right: boolean, otherwise: string): void => { if (!right) throw failed(otherwise) }

const offered = <T>(method: T | undefined): T => { if (method === undefined) throw failed('the driver has no such method'); return method }
const some = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
const power = async ({ parameters, options }: Subject, action: 'on' | 'off' | 'shutdown', boot: Start['boot'] = null): Promise<string> => {
  const { state, note } = await redfish.power(parameters, action, { ...options, boot })
  ensure(note === undefined, note ?? '')
  const seen = await redfish.query(parameters, options)
  ensure(seen === state, `it was reported ${state}, and is ${seen}`)
  return state
}

export const checks: readonly Check[] = [
  { name: 'look at the power state', async run ({ parameters, options }) {
    const state = await redfish.query(parameters, options)
    ensure(state === 'on' || state === 'off', `it tells no power state (${state})`)
    return state
  } },
  { name: 'ten looks in one session', async run ({ parameters, options }) {
    const began = performance.now()
    for (let count = 0; count < 10; count++) await redfish.query(parameters, options)
    return `${Math.max(1, Math.round((performance.now() - began) / 10))} ms each`
  } },
  { name: 'sessions are given back', async run ({ parameters, options }) {
    const count = (own: Options) => withRedfish(parameters, own, async service => {
      if (service.root.sessions === undefined || parameters.user === undefined) throw notOffered('hold sessions: the service has none, or no user was named')
      return (await service.members(service.root.sessions, 100)).length
    })
    const before = await count(options)
    for (let round = 0; round < 5; round++) {
      const kept = createKept()
      try { await redfish.query(parameters, { ...options, kept }) } finally { await kept.close() }
    }
    const after = await count(options)
    ensure(after <= before, `${after - before} of 5 sessions are still open`)
    return `${after} open, as before`
  } },
  { name: 'identity', async run ({ parameters, options }) {
    const { uuid, manufacturer, model, serial, bmcVersion } = await offered(redfish.identify)(parameters, options)
    ensure(uuid !== null || serial !== null || model !== null, 'it tells neither UUID nor serial number nor model')
    return [uuid ?? 'no UUID', manufacturer, model, serial, bmcVersion === null ? null : `firmware ${bmcVersion}`].filter(Boolean).join(', ')
  } },
  { name: 'sensors', async run ({ parameters, options }) {
    const sensors = await offered(redfish.sensors)(parameters, options)
    const [first] = sensors.filter(({ value }) => value !== null)
    return `${some(sensors.length, 'sensor')}${first === undefined ? ', none with a value' : `; ${first.name}: ${first.value} ${first.unit}`}`
  } },
  { name: 'log', async run ({ parameters, options }) {
    const log = await offered(redfish.log)(parameters, options)
    const times = log.flatMap(({ at }) => at ?? [])
    ensure(times.every((at, index) => index === 0 || at <= (times[index - 1] ?? '')), 'the newest are not first')
    return some(log.length, 'record')
  } },
  { name: 'firmware inventory', async run ({ parameters, options }) {
    const items = await offered(redfish.inventory)(parameters, options)
    if (items.length === 0) throw notOffered('list firmware on this BMC: it tells of none')
    return `${some(items.length, 'item')}; ${items[0]?.name}: ${items[0]?.version ?? 'no version'}`
  } },
  { name: 'systems of the service', async run ({ parameters, options }) {
    const members = await offered(redfish.members)(parameters, options)
    ensure(members.length > 0, 'it lists none')
    ensure(!JSON.stringify(members).includes(parameters.password ?? '\0'), 'the password is among them')
    const again = members.slice(0, 8).map(member => redfish.query({ ...member.parameters, ...(parameters.password === undefined ? {} : { password: parameters.password }) }, options))
    await Promise.all(again)
    return `${some(members.length, 'system')}, ${some(members.flatMap(({ macs }) => macs).length, 'MAC address').replace('addresss', 'addresses')}`
  } },
  { name: 'virtual drive', async run ({ parameters, options }) { return (await offered(redfish.media)(parameters, options)).image ?? 'empty' } },
  { name: 'a wrong password is fatal', switches: true, async run ({ parameters, options }) {
    if (parameters.user === undefined) throw new NotTried('no user was named')
    const error: unknown = await redfish.query({ ...parameters, password: `${parameters.password ?? ''}-wrong` }, options).then(() => undefined, (reason: unknown) => reason)
    if (error === undefined) throw notOffered('tell passwords apart: this service takes any')
    ensure(error instanceof BedplateError && error.code === 'POWER_AUTHENTICATION', `it was told as ${error instanceof BedplateError ? error.code : 'something else'}`)
    return 'refused, and told so'
  } },
  { name: 'off', switches: true, run: subject => power(subject, 'off') },
  { name: 'off when it is off', switches: true, run: subject => power(subject, 'off') },
  { name: 'on, from the network once', switches: true, run: subject => power(subject, 'on', 'network') },
  { name: 'on when it is on', switches: true, run: subject => power(subject, 'on') },
  { name: 'off, and on from disk once', switches: true, async run (subject) { await power(subject, 'off'); return await power(subject, 'on', 'disk') } },
  { name: 'shutdown', switches: true, run: subject => power(subject, 'shutdown') },
  { name: 'four who switch on at once', switches: true, async run (subject) {
    await power(subject, 'off')
    const states = await Promise.all(Array.from({ length: 4 }, () => power(subject, 'on')))
    return states.join(', ')
  } },
  { name: 'an image put in and taken out', switches: true, async run ({ parameters, options, image }) {
    if (image === undefined) throw new NotTried('say with --image which one the BMC can read')
    const [insert, media] = [offered(redfish.insert), offered(redfish.media)]
    await insert(parameters, image, options)
    await insert(parameters, image, options)
    ensure((await media(parameters, options)).image !== null, 'the drive is empty after the image was put in')
    await insert(parameters, null, options)
    await insert(parameters, null, options)
    const { image: left } = await media(parameters, options)
    ensure(left === null, `${left} is still in the drive`)
    return 'each twice, and seen'
  } }
]
