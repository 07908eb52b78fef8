/** What BMCs answer, read by the pure parts: as they should, as makers do, and as nobody should. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../../../../core/errors.ts'
import { afterRefusal } from '../../../../../plugins/power/drivers/redfish/amend.ts'
import { overridesFor, shows } from '../../../../../plugins/power/drivers/redfish/boot.ts'
import { drivesFrom, fits, remedies } from '../../../../../plugins/power/drivers/redfish/drives.ts'
import { itemsFrom } from '../../../../../plugins/power/drivers/redfish/firmware.ts'
import { identityFrom, uuidFrom } from '../../../../../plugins/power/drivers/redfish/identity.ts'
import { link, nextLink, number, object, pathOf } from '../../../../../plugins/power/connection/json.ts'
import { macFrom, namesOf } from '../../../../../plugins/power/drivers/redfish/members.ts'
import { plain, quirksOf, rows } from '../../../../../plugins/power/drivers/redfish/quirks.ts'
import { fromMetrics, fromPower, fromSensor, fromThermal } from '../../../../../plugins/power/drivers/redfish/readings.ts'
import { chosen, entriesFrom, timeFrom } from '../../../../../plugins/power/drivers/redfish/records.ts'
import { rootFrom } from '../../../../../plugins/power/drivers/redfish/root.ts'
import { badLogin, explanation, forNow, noSessionLeft, sessionGone } from '../../../../../plugins/power/drivers/redfish/said.ts'
import { bootFrom } from '../../../../../plugins/power/drivers/redfish/system.ts'
import { monitorOf, progressOf } from '../../../../../plugins/power/drivers/redfish/task.ts'

const at = (path: unknown) => ({ '@odata.id': path })
const message = (MessageId: string, Message?: string) => ({ error: { code: 'Base.1.8.GeneralError', message: 'See ExtendedInfo.', '@Message.ExtendedInfo': [{ MessageId, ...(Message === undefined ? {} : { Message }) }] } })

test('a link is a path on the BMC; what leads elsewhere, or might, is none', () => {
  for (const path of ['/redfish/v1/Systems/1', '/redfish/v1/Systems/1/', '/a?b=c']) expect(link(at(path)), path).toBe(path)
  expect(link(at('/redfish/v1/Chassis/1/Thermal#/Fans/0'))).toBe('/redfish/v1/Chassis/1/Thermal')
  for (const path of ['//evil.example/x', '/\\evil.example', 'https://evil.example/', 'redfish/v1', '', ' ', 7, null, undefined, {}, `/${'a'.repeat(3_000)}`, '/a b']) expect(link(at(path)), String(path)).toBe(undefined)
  expect(nextLink({ 'Members@odata.nextLink': '/a?$skip=50' })).toBe('/a?$skip=50')
  expect(nextLink({ 'Members@odata.nextLink': at('/a') })).toBe('/a')
})

test('a Location or target is asked for on the BMC itself, whatever host it names', () => {
  expect(pathOf('https://10.0.0.1:8443/redfish/v1/SessionService/Sessions/7?x')).toBe('/redfish/v1/SessionService/Sessions/7?x')
  expect(pathOf('/redfish/v1/x')).toBe('/redfish/v1/x')
  for (const reference of ['//evil.example/x', 'ftp://evil.example/x', 'https://', undefined, 3]) expect(pathOf(reference), String(reference)).toBe(undefined)
  fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.string().map(text => `/${text}`), fc.string().map(text => `//${text}`)), text => {
    for (const path of [pathOf(text), link(at(text))]) if (path !== undefined) expect(new URL(path, 'http://bmc.example').origin).toBe('http://bmc.example')
  }), { numRuns: 500 })
})

test('a failure is told in the BMC\'s words, the first that are words', () => {
  expect(explanation(message('Base.1.8.ResourceInUse', 'It is\n in use.'))).toBe(': It is in use.')
  expect(explanation(message('Base.1.0.GeneralError'))).toBe(': See ExtendedInfo.')
  expect(explanation({ error: { '@Message.ExtendedInfo': { MessageId: 'iLO.2.8.ServerOff' } } })).toBe(': iLO.2.8.ServerOff') // one where a list belongs
  expect(explanation({ Messages: [{ Message: 'The task failed.' }] })).toBe(': The task failed.')
  expect(explanation({})).toBe('')
  expect(explanation(message('x', 'y'.repeat(5_000))).length).toBeLessThan(310)
})

test('what a refusal means is told from its message', () => {
  expect([message('Base.1.8.SessionLimitExceeded', 'x'), message('IDRAC.2.1.RAC0218', 'The maximum number of user sessions is reached.'), message('Base.1.4.CreateLimitReachedForResource', 'x')].map(noSessionLeft)).toEqual([true, true, true])
  expect([message('iLO.0.10.UnauthorizedLoginAttempt'), message('Base.1.8.PropertyMissing', 'x')].map(badLogin)).toEqual([true, false])
  expect([message('iLO.2.8.UnableToModifyDuringSystemPOST'), message('iLO.2.8.InvalidOperationForSystemState'), message('IDRAC.2.8.SYS518', 'x'), message('Base.1.8.PropertyUnknown', 'x')].map(forNow)).toEqual([true, true, true, false])
  expect([sessionGone(401, {}), sessionGone(403, message('Base.1.8.NoValidSession')), sessionGone(403, message('Base.1.8.InsufficientPrivilege')), sessionGone(200, {})]).toEqual([true, true, false, false])
})

test('a service is asked for members together only where it says that it can', () => {
  const expanding = (ExpandQuery: unknown) => rootFrom({ ProtocolFeaturesSupported: { ExpandQuery } }, true).expand
  expect([expanding({ NoLinks: true, ExpandAll: true, Levels: true }), expanding({ ExpandAll: true }), expanding({ Links: true, Levels: true }), expanding({ NoLinks: 'true' }), expanding(undefined)]).toEqual(['$expand=.($levels=1)', '$expand=*', undefined, undefined, undefined])
  expect(rootFrom({ Links: { Sessions: at('/s') }, Vendor: 'Contoso' }, true)).toMatchObject({ sessions: '/s', vendor: 'Contoso' })
  expect(rootFrom({ SessionService: at('/redfish/v1/SessionService/'), Oem: { Hpe: {} } }, true)).toMatchObject({ sessions: '/redfish/v1/SessionService/Sessions', vendor: 'Hpe' })
  expect([rootFrom({}, true).sessions, rootFrom({}, false).sessions]).toEqual([undefined, '/redfish/v1/SessionService/Sessions'])
})

describe('makers', () => {
  test.each([
    ['Supermicro', { bootMode: 'always' }], ['HPE', { bootMode: 'changed' }], ['Hewlett Packard Enterprise', { bootMode: 'changed' }], ['American Megatrends Inc.', { bootMode: 'always' }], ['ASRockRack', { bootMode: 'always' }],
    ['Dell Inc.', { serial: 'SKU' }], ['Lenovo', { bootMode: 'known' }], ['NVIDIA', { insert: { UserName: 'none', Password: 'none' } }], ['Contoso', plain]
  ])('%s is known by its name, wherever it stands', (name, quirks) => {
    expect(quirksOf({ vendor: name, product: undefined, manufacturer: undefined })).toMatchObject(quirks)
    expect(quirksOf({ vendor: undefined, product: undefined, manufacturer: ` ${name} ` })).toMatchObject(quirks)
  })
  test('each row says why it is there', () => { for (const { why } of rows) expect(why.length).toBeGreaterThan(20) })
})

describe('one-time boot', () => {
  const boot = (Boot: Record<string, unknown>) => bootFrom({ Boot })
  test('the mode goes along as the maker needs it; without it comes second, but not where it would change how the machine starts', () => {
    const known = boot({ BootSourceOverrideMode: 'UEFI', BootSourceOverrideEnabled: 'Disabled' })
    const [once, uefi, legacy] = [{ BootSourceOverrideEnabled: 'Once', BootSourceOverrideTarget: 'Pxe' }, { BootSourceOverrideMode: 'UEFI' }, { BootSourceOverrideMode: 'Legacy' }]
    expect(overridesFor(known, 'network', undefined, { bootMode: 'known' })).toEqual([{ ...once, ...uefi }, once])
    expect(overridesFor(known, 'network', 'bios', { bootMode: 'known' })).toEqual([{ ...once, ...legacy }])
    expect(overridesFor(known, 'network', 'uefi', { bootMode: 'changed' })).toEqual([once])
    expect(overridesFor(known, 'network', 'bios', { bootMode: 'changed' })).toEqual([{ ...once, ...legacy }])
    expect(overridesFor(boot({}), 'network', 'uefi', { bootMode: 'known' })).toEqual([once]) // a BMC that shows no mode has none to be told
    expect(overridesFor(boot({}), 'network', undefined, { bootMode: 'always' })).toEqual([{ ...once, ...uefi }, once])
    expect(overridesFor(boot({ BootSourceOverrideEnabled: 'Once' }), 'network', undefined, { bootMode: 'known' })).toEqual([once, { BootSourceOverrideTarget: 'Pxe' }])
  })
  test('HTTP boot is the network where PXE is not offered and the machine has UEFI', () => {
    const targets = boot({ 'BootSourceOverrideTarget@Redfish.AllowableValues': ['None', 'UefiHttp'] })
    expect(overridesFor(targets, 'network', 'uefi', plain)[0]).toMatchObject({ BootSourceOverrideTarget: 'UefiHttp' })
    for (const work of [() => overridesFor(targets, 'network', 'bios', plain), () => overridesFor(targets, 'disk', 'uefi', plain)]) expect(work).toThrow(expect.objectContaining({ code: 'POWER_UNSUPPORTED', message: expect.stringContaining('it allows None, UefiHttp') }))
  })
  test('whether it shows is seen', () => {
    const pxe = { BootSourceOverrideTarget: 'Pxe' }
    expect([boot({ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Once' }), boot({ BootSourceOverrideTarget: 'Pxe', BootSourceOverrideEnabled: 'Disabled' }), boot({ BootSourceOverrideTarget: 'None' }), boot({})].map(one => shows(one, pxe))).toEqual([true, false, false, undefined])
  })
  test('a BMC that refuses its own entity tag is asked in other ways; a changed resource with its new one, once', () => {
    expect(afterRefusal('W/"1"', 'W/"2"')).toEqual(['W/"2"'])
    expect(afterRefusal('W/"1"', 'W/"1"')).toEqual(['"1"', '1', '*', undefined])
    expect(afterRefusal('"1"', '"1"')).toEqual(['1', '*', undefined])
    expect(afterRefusal(undefined, undefined)).toEqual(['*'])
    expect(afterRefusal(undefined, '"2"')).toEqual(['"2"'])
  })
})

describe('tasks', () => {
  test.each([
    ['a monitor that goes on', 202, {}, { ended: false }],
    ['a task that runs', 200, { TaskState: 'Running' }, { ended: false }],
    ['a task that is queued, behind 202', 202, { TaskState: 'Pending' }, { ended: false }],
    ['a task that went well', 200, { TaskState: 'Completed', TaskStatus: 'OK' }, { ended: true }],
    ['a monitor that answers with the result', 204, {}, { ended: true }],
    ['a monitor that is gone', 404, {}, { ended: true }],
    ['a task that failed', 200, { TaskState: 'Exception', Messages: [{ Message: 'No disk.' }] }, { ended: true, failure: 'the BMC\'s task ended as Exception: No disk.' }],
    ['a task that completed badly', 200, { TaskState: 'Completed', TaskStatus: 'Critical' }, { ended: true, failure: 'the BMC\'s task ended as Completed' }],
    ['a monitor that answers with the failure', 400, message('x', 'Not now.'), { ended: true, failure: 'HTTP 400: Not now.' }],
    ['a task in a state nobody knows', 200, { TaskState: 'Lost' }, { ended: true, failure: 'the BMC\'s task ended as Lost' }]
  ])('%s', (_, status, body, progress) => { expect(progressOf(status, body)).toEqual(progress) })
  test('the monitor is in Location, or in the task', () => {
    expect(monitorOf({ status: 202, headers: { location: 'https://10.0.0.1/redfish/v1/TaskService/TaskMonitors/1' }, body: {} })).toBe('/redfish/v1/TaskService/TaskMonitors/1')
    expect(monitorOf({ status: 202, headers: {}, body: at('/t/1') })).toBe('/t/1')
    expect(monitorOf({ status: 204, headers: { location: '/t/1' }, body: {} })).toBe(undefined)
  })
})

describe('virtual drives', () => {
  const drive = (body: Record<string, unknown>, id = 'CD') => ({ path: `/vm/${id}`, body: { Id: id, MediaTypes: ['CD'], ...body }, etag: undefined })
  test('what is in one is told though makers differ about what empty is', () => {
    const image = (body: Record<string, unknown>) => drivesFrom([drive(body)], plain)[0]?.image
    expect(image({ Image: 'http://i/a.iso', Inserted: true, ConnectedVia: 'URI' })).toBe('http://i/a.iso')
    expect(image({ Image: 'http://i/a.iso', Inserted: false })).toBe(null) // Supermicro keeps the name
    expect(image({ Image: 'http://i/a.iso', Inserted: true, ConnectedVia: 'NotConnected' })).toBe(null)
    expect(image({ Image: '', ImageName: null })).toBe(null)
    expect(image({ ImageName: 'a.iso' })).toBe('a.iso')
    expect(image({ Inserted: true })).toBe('an image the BMC does not name')
  })
  test('actions are found where makers have them; without any the drive is changed itself', () => {
    const target = { target: '/t' }
    expect(drivesFrom([drive({ Actions: { '#VirtualMedia.InsertMedia': target } }), drive({ Oem: { Hp: { Actions: { '#HpiLOVirtualMedia.InsertVirtualMedia': target } } } }), drive({})], plain).map(one => one.insert)).toEqual(['/t', '/t', undefined])
  })
  test('a disc goes into a disc drive, a stick into a stick, an empty one before a full one, and none into what is no drive', () => {
    const drives = drivesFrom([drive({ MediaTypes: ['USBStick', 'CD'], Image: 'x', Inserted: true }, 'A'), drive({ MediaTypes: ['USBStick'] }, 'B'), drive({ MediaTypes: ['DVD'] }, 'C'), drive({}, 'RDOC1')], { notDrives: /^RDOC/ })
    const into = (image: string) => fits(drives, image).map(({ found }) => found.body.Id)
    expect(into('http://i/a.iso?x=1')).toEqual(['C', 'A'])
    expect(into('http://i/a.img')).toEqual(['B', 'A'])
  })
  test('what a refusal says is missing is added, and once only', () => {
    const image = 'https://i/a.iso'
    expect(remedies('The action needs the parameter TransferProtocolType.', image, {})).toEqual({ TransferProtocolType: 'HTTPS' })
    expect(remedies('#/TransferProtocolType', image, { TransferProtocolType: 'HTTPS' })).toEqual({})
    expect(remedies('requires the parameter UserName', image, {})).toEqual({ UserName: 'none', Password: 'none' })
    expect(remedies('Inserted', image, {})).toEqual({ Inserted: true })
    expect(remedies('no', image, {})).toEqual({})
  })
})

describe('sensors', () => {
  const ok = { Health: 'OK', State: 'Enabled' }
  test('Thermal and Power', () => {
    expect(fromThermal({
      Temperatures: [{ Name: 'CPU1', ReadingCelsius: 86, UpperThresholdNonCritical: 85, UpperThresholdCritical: 95 }, { Name: 'CPU2', Status: { State: 'Absent' }, ReadingCelsius: 0 }, { MemberId: '3', ReadingCelsius: null, Status: ok }, 'odd'],
      Fans: [{ FanName: 'Fan1', Reading: 30, ReadingUnits: 'Percent', Status: ok }, { Name: 'Fan2', ReadingRPM: '4200', LowerThresholdCritical: 500 }]
    })).toEqual([
      { name: 'CPU1', kind: 'temperature', value: 86, unit: '°C', status: 'warning' }, { name: '3', kind: 'temperature', value: null, unit: '°C', status: 'ok' }, { name: 'temperature', kind: 'temperature', value: null, unit: '°C', status: 'unknown' },
      { name: 'Fan1', kind: 'fan', value: 30, unit: '%', status: 'ok' }, { name: 'Fan2', kind: 'fan', value: 4200, unit: 'RPM', status: 'ok' }
    ])
    expect(fromPower({ PowerControl: [{ PowerConsumedWatts: 120 }, {}], Voltages: [{ Name: 'P12V', ReadingVolts: 12.1, Status: { Health: 'Critical' } }], PowerSupplies: [{ Name: 'PSU1', LastPowerOutputWatts: 60, Status: ok }] })).toEqual([
      { name: 'power consumed', kind: 'power', value: 120, unit: 'W', status: 'unknown' }, { name: 'P12V', kind: 'voltage', value: 12.1, unit: 'V', status: 'critical' }, { name: 'PSU1', kind: 'power', value: 60, unit: 'W', status: 'ok' }
    ])
  })
  test('Sensor, by its type or its unit', () => {
    expect([
      { Name: 'Inlet', ReadingType: 'Temperature', ReadingUnits: 'Cel', Reading: 20.5, Thresholds: { UpperCaution: { Reading: 30 } } }, { Id: 'f', ReadingType: 'Rotational', ReadingUnits: '{rev}/min', Reading: 200, Thresholds: { LowerCritical: { Reading: 500 } } },
      { Name: 'Fan PWM', ReadingUnits: '%', Reading: 40 }, { Name: 'Humidity', ReadingUnits: '%', Reading: 40, Status: ok }, { Name: 'Gone', Status: { State: 'Absent' } }
    ].flatMap(fromSensor)).toEqual([
      { name: 'Inlet', kind: 'temperature', value: 20.5, unit: '°C', status: 'ok' }, { name: 'f', kind: 'fan', value: 200, unit: 'RPM', status: 'critical' },
      { name: 'Fan PWM', kind: 'fan', value: 40, unit: '%', status: 'unknown' }, { name: 'Humidity', kind: 'other', value: 40, unit: '%', status: 'ok' }
    ])
  })
  test('metrics, each named by whose it is', () => {
    expect(fromMetrics({ PowerWatts: { Reading: 374 }, FanSpeedsPercent: [{ DeviceName: 'CPU Fan', Reading: 10, SpeedRPM: 1200 }, { Reading: 20 }], TemperatureCelsius: 'odd' }, 'Chassis')).toEqual([
      { name: 'Chassis temperature', kind: 'temperature', value: null, unit: '°C', status: 'unknown' }, { name: 'Chassis power', kind: 'power', value: 374, unit: 'W', status: 'unknown' },
      { name: 'CPU Fan', kind: 'fan', value: 1200, unit: 'RPM', status: 'unknown' }, { name: 'Chassis fan speeds 2', kind: 'fan', value: 20, unit: '%', status: 'unknown' }
    ])
  })
})

test('log entries are the newest first, without those times a BMC has that has no clock', () => {
  expect([timeFrom('2024-05-01T10:00:00+02:00'), timeFrom('1970-01-01T00:00:07Z'), timeFrom('yesterday'), timeFrom(7)]).toEqual(['2024-05-01T08:00:00.000Z', null, null, null])
  expect(entriesFrom([{ Id: '1', Created: '2024-01-01T00:00:00Z', Severity: 'OK', Message: 'old' }, { Created: '1970-01-01T00:00:00Z', Severity: 'Critical', MessageId: 'x.y' }, { Id: '3', Created: '2024-01-02T00:00:00Z', Severity: 'Warning', Message: 'new' }])).toEqual([
    { id: '3', at: '2024-01-02T00:00:00.000Z', severity: 'warning', message: 'new' }, { id: '1', at: '2024-01-01T00:00:00.000Z', severity: 'info', message: 'old' }, { id: '2', at: null, severity: 'critical', message: 'x.y' }
  ])
  expect(entriesFrom(Array.from({ length: 700 }, (_, id) => ({ Id: String(id), Created: new Date(1.7e12 + id * 1000).toISOString() }))).map(({ id }) => Number(id))).toEqual(Array.from({ length: 500 }, (_, index) => 699 - index))
  const paths = (...of: string[]) => of.map(path => ({ path }))
  expect(chosen(paths('/m/LogServices/Lclog', '/m/LogServices/Sel/'))).toEqual({ path: '/m/LogServices/Sel/' })
  expect([chosen(paths('/s/LogServices/Crash', '/s/LogServices/EventLog'))?.path, chosen(paths('/a', '/b'))?.path, chosen([])]).toEqual(['/s/LogServices/EventLog', '/a', undefined])
})

test('an identity is told in one form, and what stands for nothing as nothing', () => {
  expect(['4C4C4544-0051-3610-8052-B4C04F4D4E32', '00000000-0000-0000-0000-000000000000', 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF', 'none', undefined].map(uuidFrom)).toEqual(['4c4c4544-0051-3610-8052-b4c04f4d4e32', null, null, null, null])
  expect(identityFrom({ Manufacturer: 'Dell Inc.', SerialNumber: 'CNFCP00', SKU: '8QM4N32' }, { FirmwareVersion: '6.10.30.00' }, { serial: 'SKU' })).toEqual({ uuid: null, manufacturer: 'Dell Inc.', model: null, serial: '8QM4N32', bmcVersion: '6.10.30.00' })
  expect(['52-54-00-AA-BB-01', '525400aabb01', '00:00:00:00:00:00', 'n/a', null].map(macFrom)).toEqual(['52:54:00:aa:bb:01', '52:54:00:aa:bb:01', undefined, undefined, undefined])
  expect(namesOf([{ path: '/s/1', body: { Name: 'System', Id: '1' } }, { path: '/s/2', body: { Name: 'System', Id: '2' } }, { path: '/s/3', body: { HostName: 'web-3', Name: 'System' } }])).toEqual(['System 1', 'System 2', 'web-3'])
})

test('firmware that is not installed, or listed twice, is left out', () => {
  expect(itemsFrom([{ Id: 'Installed-1', Name: 'BIOS', Version: '2.1', Updateable: true }, { Id: 'Current-1', Name: 'BIOS', Version: '2.1', Updateable: true }, { Id: 'Previous-1', Name: 'BIOS', Version: '2.0' }, { Version: '1' }, { Id: 'x' }], { notInstalled: /^Previous-/ })).toEqual([
    { name: 'BIOS', version: '2.1', updateable: true }, { name: 'x', version: null, updateable: null }
  ])
})

test('whatever a BMC sends is read without a throw but those with a code', () => {
  const odd = fc.jsonValue()
  const body = fc.dictionary(fc.constantFrom('Boot', 'error', 'Messages', 'TaskState', 'Temperatures', 'Fans', 'Voltages', 'PowerControl', 'PowerSupplies', 'Reading', 'Thresholds', 'Status', 'MediaTypes', 'Image', 'Inserted', 'Actions', 'Oem', 'Id', 'Name', 'Created', 'UUID', 'ProtocolFeaturesSupported', 'Links', 'FanSpeedsPercent'), odd)
  fc.assert(fc.property(body, body, (one, other) => {
    for (const read of [explanation, fromThermal, fromPower, fromSensor, (json: object) => fromMetrics(object(json), 'x'), bootFrom, (json: object) => rootFrom(object(json), true), (json: object) => progressOf(200, object(json)), (json: object) => drivesFrom([{ path: '/x', body: object(json), etag: undefined }], plain), (json: object) => entriesFrom([object(json)]), (json: object) => itemsFrom([object(json)], plain), (json: object) => identityFrom(object(json), other, plain)]) read(object(one))
    try { overridesFor(bootFrom(one), 'network', 'uefi', plain) } catch (error) { expect(error).toBeInstanceOf(BedplateError) }
  }), { numRuns: 100 })
  expect([number('12.5'), number('x'), number(NaN), number(null)]).toEqual([12.5, undefined, undefined, undefined])
})
