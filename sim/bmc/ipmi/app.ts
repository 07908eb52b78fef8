/** Commands of the BMC itself: who it is, what it can do, sessions. */
import { suites } from '../../../ipmi/ciphers.ts'
import { completion } from '../../../ipmi/completion.ts'
import { getDeviceGuid, getDeviceId, getSystemGuid } from '../../../ipmi/commands/device.ts'
import { closeSession, getAuthCapabilities, getCipherSuites, setPrivilege, suiteRecord, thisChannel } from '../../../ipmi/commands/session.ts'
import { netFn } from '../../../ipmi/message.ts'
import { privilege } from '../../../ipmi/privilege.ts'
import { answering, plain, refused, told, type Handler } from './command.ts'
import { levelOf } from './login.ts'

/** The one channel a console comes by. */
export const lanChannel = 1
const isOurs = (channel: number): boolean => channel === lanChannel || channel === thisChannel
const unknownChannel = completion.invalidField
const partLength = 16

export const appCommands: readonly Handler[] = [
  answering(getDeviceId, 'user', (_, { model: { profile: { ipmi, bmc } } }) => {
    const [, major = '1', minor = '0'] = /(\d+)\.(\d+)/.exec(bmc.version) ?? []
    return { id: 0x20, revision: 1, available: true, firmware: `${Number(major)}.${Number(minor)}`, ipmi: '2.0', support: 0x8f, manufacturer: ipmi.manufacturer, product: ipmi.product, auxiliary: Buffer.alloc(4) }
  }),
  plain('Get Self Test Results', netFn.app, 0x04, 'user', () => told(Buffer.of(0x55, 0x00))),
  plain('Get ACPI Power State', netFn.app, 0x07, 'user', (_, { model: { systems: [{ machine }] } }) => told(machine.state() === 'on' ? Buffer.of(0x00, 0x00) : Buffer.of(0x05, 0x03))),
  answering(getDeviceGuid, 'user', (_, { guid }) => guid),
  plain('Get BMC Global Enables', netFn.app, 0x2f, 'user', () => told(Buffer.of(0x08))), // the SEL is on
  answering(getSystemGuid, 'anybody', (_, { guid }) => guid),
  answering(getAuthCapabilities, 'anybody', ({ channel, v20 }, { model: { profile: { ipmi }, accounts }, kgSet }) => {
    if (!isOurs(channel)) return refused(unknownChannel)
    return {
      channel: lanChannel, types: { none: false, md2: false, md5: ipmi.lan15, password: ipmi.lan15, oem: false }, kg: v20 && kgSet, perMessage: true, userLevel: true,
      users: { named: accounts.some(({ user }) => user !== ''), unnamed: accounts.some(({ user, password }) => user === '' && password !== ''), anonymous: false }, v15: v20 && ipmi.lan15, v20, oem: 0
    }
  }),
  answering(setPrivilege, 'callback', (wanted, { session }) => {
    if (session === undefined) return refused(completion.notInThisState)
    if (wanted === 0) return session.privilege
    if (wanted > privilege.administrator) return refused(0x81)
    if (wanted > session.highest || (session.account !== undefined && wanted > levelOf(session.account))) return refused(0x80)
    return session.privilege = wanted
  }),
  answering(closeSession, 'callback', (id, { sessions, session }) => {
    if (session?.id !== id && (session?.privilege ?? 0) < privilege.administrator) return refused(completion.privilege)
    if (!sessions.all.has(id)) return refused(0x87)
    sessions.end(id)
    return undefined
  }),
  plain('Get Session Info', netFn.app, 0x3d, 'user', (data, { model, sessions, session }) => {
    const active = [...sessions.all.values()].filter(one => one.active)
    const which = data[0] ?? 0
    const one = which === 0 ? session : which === 0xff || which === 0xfe ? undefined : active[which - 1]
    const counts = Buffer.of(one === undefined ? 0 : active.indexOf(one) + 1, model.profile.ipmi.sessions, active.length)
    if (one === undefined) return told(counts)
    const user = model.accounts.findIndex(account => account === one.account) + 2
    return told(Buffer.concat([counts, Buffer.of(user, one.privilege, (one.version === '2.0' ? 0x10 : 0) | lanChannel), Buffer.alloc(12)])) // where from is not told
  }),
  plain('Get Channel Access', netFn.app, 0x41, 'user', data => isOurs((data[0] ?? 0) & 15) ? told(Buffer.of(0x02, privilege.administrator)) : refused(unknownChannel)),
  plain('Get Channel Info', netFn.app, 0x42, 'user', data => isOurs((data[0] ?? 0) & 15) ? told(Buffer.of(lanChannel, 0x04, 0x01, 0x80, 0xf2, 0x1b, 0x00, 0x00, 0x00)) : refused(unknownChannel)), // 802.3 LAN, with sessions
  plain('Get User Access', netFn.app, 0x44, 'operator', (data, { model }) => {
    const account = model.accounts[((data[1] ?? 0) & 0x3f) - 2] // user 1 is the nameless one
    const most = model.accounts.length + 1
    return told(Buffer.of(most, most, account === undefined ? 0 : 1, account === undefined ? 0x0f : 0x10 | levelOf(account)))
  }),
  plain('Get User Name', netFn.app, 0x46, 'operator', (data, { model }) => {
    const name = Buffer.alloc(16)
    name.write(model.accounts[((data[0] ?? 0) & 0x3f) - 2]?.user ?? '')
    return told(name)
  }),
  answering(getCipherSuites, 'anybody', ({ channel, index }, { model: { profile } }) => {
    if (!isOurs(channel)) return refused(unknownChannel)
    const records = Buffer.concat(suites.filter(({ id }) => profile.ipmi.suites.includes(id)).map(({ id, authentication, integrity, confidentiality }) => suiteRecord(id, authentication.number, integrity.number, confidentiality.number)))
    return { channel: lanChannel, part: records.subarray(index * partLength, (index + 1) * partLength) }
  })
]
