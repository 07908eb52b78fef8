/** All resources of one BMC, made when the first is asked for: thousands of BMCs are mostly not. */
import type { Model } from '../model.ts'
import { done, failure, link, members, root, type Answer, type Json, type Resource, type Tree } from './answer.ts'
import { chassisResources } from './chassis.ts'
import { logEntry, managerResources } from './managers.ts'
import type { Sessions } from './sessions.ts'
import { systemResources } from './systems.ts'
import { createTasks } from './tasks.ts'

export const sessionsPath = `${root}/SessionService/Sessions`

export function createTree (model: Model, sessions: Sessions): Tree {
  let resources: ReadonlyMap<string, Resource> | undefined
  const tasks = createTasks()
  return path => (resources ??= all(model, sessions, tasks)).get(path) ?? tasks.at(path) ?? logEntry(model, path) ?? session(sessions, path)
}

function session (sessions: Sessions, path: string): Resource | undefined {
  const found = [...sessions.open.values()].find(({ id }) => path === `${sessionsPath}/${id}`)
  return found === undefined ? undefined : { get: () => ({ '@odata.type': '#Session.v1_3_0.Session', Id: found.id, Name: 'User Session', UserName: found.user }), delete: () => { sessions.end(found.id); return done } }
}

function all (model: Model, sessions: Sessions, tasks: ReturnType<typeof createTasks>): Map<string, Resource> {
  const { profile, systems: [{ machine }], systems } = model
  const { without, ids } = profile
  const collection = (kind: string, paths: readonly string[]): Resource => ({ get: () => ({ '@odata.type': `#${kind}Collection.${kind}Collection`, Name: `${kind} Collection`, ...members(paths) }) })
  const begin = (body: Json): Answer => {
    const { UserName: user, Password: password } = body
    if (typeof user !== 'string' || typeof password !== 'string') return failure(400, 'A session needs UserName and Password.', 'PropertyMissing')
    const account = model.account(user)
    if (account === undefined || account.password !== password) return failure(401, 'The user name or the password is wrong.', 'ResourceAtUriUnauthorized')
    const made = model.faults.exhausted ? undefined : sessions.begin(user)
    if (made === undefined) return failure(503, 'No session is free: the limit of simultaneous sessions is reached.', 'SessionLimitExceeded')
    const path = `${sessionsPath}/${made.id}`
    return { status: 201, body: { '@odata.id': path, '@odata.type': '#Session.v1_3_0.Session', Id: made.id, Name: 'User Session', UserName: user }, headers: { 'x-auth-token': made.token, location: path } }
  }
  const hasSessions = () => !model.faults.noSessions
  const update = `${root}/UpdateService`
  const simpleUpdate = `${update}/Actions/UpdateService.SimpleUpdate`
  const firmware = [
    { id: 'BMC', name: profile.bmc.model, version: profile.bmc.version }, { id: 'BIOS', name: 'System BIOS', version: '1.2.3' }, { id: 'NIC1', name: 'Network adapter 1', version: '22.31.6' }
  ]
  return new Map<string, Resource>([
    ['/redfish', { open: true, get: () => ({ v1: `${root}/` }) }],
    [root, {
      open: true,
      get: () => ({
        '@odata.type': '#ServiceRoot.v1_9_0.ServiceRoot', Id: 'RootService', Name: 'Root Service', RedfishVersion: profile.redfishVersion, UUID: machine.hardware.uuid, Vendor: profile.vendor, Product: profile.bmc.model,
        Systems: link(`${root}/Systems`), Chassis: link(`${root}/Chassis`), Managers: link(`${root}/Managers`),
        ...without.includes('TaskService') ? {} : { Tasks: link(`${root}/TaskService`) }, ...without.includes('UpdateService') ? {} : { UpdateService: link(update) },
        ...hasSessions() ? { SessionService: link(`${root}/SessionService`) } : {}, AccountService: link(`${root}/AccountService`), Links: { Sessions: link(sessionsPath) }
      })
    }],
    [`${root}/SessionService`, { get: () => ({ '@odata.type': '#SessionService.v1_1_8.SessionService', Id: 'SessionService', Name: 'Session Service', ServiceEnabled: true, SessionTimeout: profile.sessions.seconds, Sessions: link(sessionsPath) }) }],
    [sessionsPath, { get: () => ({ '@odata.type': '#SessionCollection.SessionCollection', Name: 'Session Collection', ...members([...sessions.open.values()].map(({ id }) => `${sessionsPath}/${id}`)) }), post: begin }],
    [`${root}/AccountService`, { get: () => ({ '@odata.type': '#AccountService.v1_8_0.AccountService', Id: 'AccountService', Name: 'Account Service', Accounts: link(`${root}/AccountService/Accounts`) }) }],
    [`${root}/AccountService/Accounts`, collection('ManagerAccount', model.accounts.map((_, index) => `${root}/AccountService/Accounts/${index + 1}`))],
    ...model.accounts.map(({ user, privilege }, index): [string, Resource] => [`${root}/AccountService/Accounts/${index + 1}`, { get: () => ({ '@odata.type': '#ManagerAccount.v1_6_2.ManagerAccount', Id: String(index + 1), Name: 'User Account', UserName: user, Password: null, Enabled: true, RoleId: { user: 'ReadOnly', operator: 'Operator', administrator: 'Administrator' }[privilege ?? 'administrator'] }) }]),
    [`${root}/Systems`, collection('ComputerSystem', systems.map(({ id }) => `${root}/Systems/${id}`))],
    [`${root}/Chassis`, collection('Chassis', [`${root}/Chassis/${ids.chassis}`])],
    [`${root}/Managers`, collection('Manager', [`${root}/Managers/${ids.manager}`])],
    ...without.includes('UpdateService')
      ? []
      : [[update, { get: () => ({ '@odata.type': '#UpdateService.v1_8_4.UpdateService', Id: 'UpdateService', Name: 'Update Service', ServiceEnabled: true, FirmwareInventory: link(`${update}/FirmwareInventory`), Actions: { '#UpdateService.SimpleUpdate': { target: simpleUpdate, 'TransferProtocol@Redfish.AllowableValues': ['HTTP', 'HTTPS'] } } }) }],
          [simpleUpdate, { post: body => typeof body.ImageURI === 'string' ? tasks.begin('Update', () => {}, model.faults.taskFails) : failure(400, 'The action needs the parameter ImageURI.', 'ActionParameterMissing') }],
          [`${update}/FirmwareInventory`, collection('SoftwareInventory', firmware.map(({ id }) => `${update}/FirmwareInventory/${id}`))],
          ...firmware.map(({ id, name, version }): [string, Resource] => [`${update}/FirmwareInventory/${id}`, { get: () => ({ '@odata.type': '#SoftwareInventory.v1_4_0.SoftwareInventory', Id: id, Name: name, Version: version, Updateable: id !== 'NIC1', Status: { State: 'Enabled', Health: 'OK' } }) }])
        ] as [string, Resource][],
    ...without.includes('TaskService') ? [] : tasks.resources,
    ...systems.flatMap(system => [...systemResources(model, system, tasks)]), ...chassisResources(model), ...managerResources(model)
  ])
}
