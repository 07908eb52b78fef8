/** What BMCs say of their systems: as they should, as they do, and as nobody should. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BedplateError } from '../../../../../core/errors.ts'
import { object } from '../../../../../plugins/power/connection/json.ts'
import { bootFrom, resetTypeFor, resetTypesIn, stateOf, systemFrom } from '../../../../../plugins/power/drivers/redfish/system.ts'

const path = '/redfish/v1/Systems/1'

test('a ComputerSystem is read for the few things that matter', () => {
  expect(systemFrom(path, {
    PowerState: 'On', Boot: { BootSourceOverrideMode: 'UEFI', BootSourceOverrideTarget: 'None', BootSourceOverrideEnabled: 'Disabled', 'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'Pxe', 7] },
    Links: { Chassis: [{ '@odata.id': '/redfish/v1/Chassis/1' }, { '@odata.id': 'https://elsewhere.example/redfish/v1/Chassis/2' }], Managers: [{ '@odata.id': '/redfish/v1/Managers/1' }] },
    '@Redfish.Settings': { SettingsObject: { '@odata.id': '/redfish/v1/Systems/1/Settings' } },
    Actions: { '#ComputerSystem.Reset': { target: '/elsewhere', 'ResetType@Redfish.AllowableValues': ['On', 'ForceOff'] } }
  })).toEqual({
    powerState: 'On', boot: { mode: 'UEFI', target: 'None', enabled: 'Disabled', targets: ['None', 'Pxe'], modes: undefined }, resetTarget: '/elsewhere', resetTypes: ['On', 'ForceOff'], resetInfo: undefined,
    settings: '/redfish/v1/Systems/1/Settings', chassis: ['/redfish/v1/Chassis/1'], managers: ['/redfish/v1/Managers/1']
  })
})

test('what is missing is at its usual place, or unknown', () => {
  expect(systemFrom(`${path}/`, {})).toEqual({ powerState: undefined, boot: bootFrom({}), resetTarget: `${path}/Actions/ComputerSystem.Reset`, resetTypes: undefined, resetInfo: undefined, settings: undefined, chassis: [], managers: [] })
  expect(resetTypesIn({ Parameters: [{ Name: 'Other' }, { Name: 'ResetType', AllowableValues: ['On', 'ForceOff'] }] })).toEqual(['On', 'ForceOff'])
  expect(resetTypesIn({})).toBe(undefined)
})

test('states on their way count as where they come from, and never as where they go', () => {
  const table = [['On', 'on', 'on'], ['Off', 'off', 'off'], ['PoweringOn', 'off', 'unknown'], ['PoweringOff', 'on', 'unknown'], ['Paused', 'on', 'on'], [undefined, 'unknown', 'unknown'], ['on', 'unknown', 'unknown']] as const
  for (const [powerState, shown, settled] of table) expect([stateOf({ powerState }), stateOf({ powerState }, 'settled')], String(powerState)).toEqual([shown, settled])
})

test('the first reset type the BMC takes is asked for; a BMC that tells none is given the usual one', () => {
  expect(resetTypeFor({ resetTypes: undefined }, 'on')).toBe('On')
  expect(resetTypeFor({ resetTypes: ['ForceOn', 'ForceOff'] }, 'on')).toBe('ForceOn')
  expect(resetTypeFor({ resetTypes: ['On', 'ForceOff'] }, 'off')).toBe('ForceOff')
  expect(resetTypeFor({ resetTypes: ['PushPowerButton'] }, 'on')).toBe('PushPowerButton')
  expect(resetTypeFor({ resetTypes: ['GracefulShutdown', 'PushPowerButton'] }, 'shutdown')).toBe('GracefulShutdown')
  for (const action of ['off', 'shutdown', 'cycle'] as const) expect(() => resetTypeFor({ resetTypes: ['On'] }, action)).toThrow(expect.objectContaining({ code: 'POWER_UNSUPPORTED' }))
})

test('whatever a BMC sends is read without a throw', () => {
  const odd = fc.jsonValue()
  const body = fc.oneof(odd, fc.record({ PowerState: odd, Boot: odd, Actions: fc.oneof(odd, fc.record({ '#ComputerSystem.Reset': fc.oneof(odd, fc.record({ target: odd, 'ResetType@Redfish.AllowableValues': odd })) })) }, { requiredKeys: [] }))
  fc.assert(fc.property(body, fc.constantFrom('on', 'off', 'shutdown', 'cycle'), (value, action) => {
    const system = systemFrom(path, object(value))
    expect(['on', 'off', 'unknown']).toContain(stateOf(system))
    expect(system.resetTarget).toBeTypeOf('string')
    try { expect(resetTypeFor(system, action)).toBeTypeOf('string') } catch (error) { expect(error).toBeInstanceOf(BedplateError) }
  }), { numRuns: 1_000 })
})
