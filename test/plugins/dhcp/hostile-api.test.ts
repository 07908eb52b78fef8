/** Whatever is sent to the API of DHCP is done or refused by name: nothing fails inside, and what is refused changes nothing. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openRegion } from './region.kit.ts'
import type { Region } from './region.kit.ts'

let region: Region
let subnet: string
beforeAll(async () => {
  region = await openRegion()
  subnet = await region.subnet('10.0.0.0/24', ['10.0.0.100', '10.0.0.149'])
  await region.attach('rack-a', { eth1: ['10.0.0.2/24'] })
})
afterAll(() => region.close())

const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom('\0', '\ud800', '"\0"', '', ' ', '10.0.0.5', '0a:0b', '-1', '1e9', '__proto__', 'constructor', '../../..', '%', 'global', 'rack-a', '9'.repeat(40)))
const value = fc.oneof(text, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.array(text, { maxLength: 4 }), fc.dictionary(text, text, { maxKeys: 3 }), fc.jsonValue({ maxDepth: 3 }))
const option = fc.oneof(fc.constantFrom('ntp-servers', 'routers', '43', '125', '121', '119', '224', 'root-path', 'domain-name', 'host-name', '53', '0', '255'), text)
const scope = fc.oneof(fc.constant('global'), fc.constant('subnet'), fc.constant('mac:020000000001'), text).map(one => one === 'subnet' ? `subnet:${subnet}` : one)
const body = fc.oneof(fc.dictionary(fc.oneof(fc.constantFrom('enabled', 'mode', 'v6', 'racks', 'value', 'type', 'clientId', 'hostname', 'leaseSeconds', 'domain', 'search', 'ntp', 'text'), text), value, { maxKeys: 5 }), value)
const enc = encodeURIComponent
const path = fc.oneof(
  fc.tuple(scope, option).map(([one, other]) => ['/options', one, other]), text.map(one => ['/vlans', one]), fc.constant(['/vlans', '1']), text.map(one => ['/subnets', one]), fc.constantFrom(['/subnets', '1']), text.map(one => ['/fixed', one]),
  fc.constant(['/fixed', '10.0.0.9']), text.map(one => ['/leases', one]), text.map(one => ['/bindings', one]), text.map(one => ['/addresses', one, 'history']), fc.constant(['/import'])
)
const query = fc.dictionary(fc.constantFrom('address', 'mac', 'client', 'clientId', 'hostname', 'subnet', 'state', 'after', 'limit', 'at', 'scope', 'dryRun'), text, { maxKeys: 4 })
/** Half of a surrogate pair has no encoding: it is not sent. */
const url = (parts: readonly string[], given: Readonly<Record<string, string>>) => {
  const [first = '', ...rest] = parts.map(part => part.toWellFormed())
  return `/api/v1/dhcp${first}${rest.map(part => `/${enc(part)}`).join('')}?${Object.entries(given).map(([key, one]) => `${key}=${enc(one.toWellFormed())}`).join('&')}`
}

describe('the API of DHCP', () => {
  it('does what it is asked, or says why not', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom('GET', 'PUT', 'DELETE', 'POST'), path, query, body, async (method, parts, given, payload) => {
      const answer = await region.app.inject({ method: method as 'GET', url: url(parts, given), headers: { 'content-type': 'application/json' }, ...method === 'PUT' || method === 'POST' ? { payload: JSON.stringify(payload) } : {} })
      expect(answer.statusCode, answer.body).toBeLessThan(500)
    }), { numRuns: 1500, seed: 4_011 })
  })
  it('searches for anything', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom('/leases', '/options', '/bindings', '/addresses/10.0.0.1/history'), query, async (one, given) => {
      const answer = await region.app.inject({ method: 'GET', url: url([one], given) })
      expect(answer.statusCode, answer.body).toBeLessThan(500)
    }), { numRuns: 1000, seed: 4_012 })
  })
  it('refuses values nested without end, and characters that are none, by name', async () => {
    const put = async (payload: string) => (await region.app.inject({ method: 'PUT', url: '/api/v1/dhcp/options/global/224', headers: { 'content-type': 'application/json' }, payload })).json()
    expect(await put(`{"value":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).toMatchObject({ status: 400, detail: expect.stringContaining('body is nested deeper than 20') })
    expect(await put('{"value":"\\ud800"}')).toMatchObject({ status: 400, detail: expect.stringContaining('half of a surrogate pair') })
  })
})
