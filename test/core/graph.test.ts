/** The graph check: every fault has its sentence, all of them come at once, and the order follows the tokens. */
import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { BedplateError } from '../../core/errors.ts'
import { checkGraph, checkRunning, halfName } from '../../core/graph.ts'
import { loadHalves } from '../../core/load.ts'
import { Controllers, Self, defineManifest, method } from '../../core/plugin.ts'
import type { Plugin, Role } from '../../core/plugin.ts'
import { running } from '../../core/health.ts'
import { emptyManifest, toy, toyToken } from './toys.ts'

const [a, b, c] = [toyToken('a.noun'), toyToken('b.noun'), toyToken('c.noun')]

const problemsOf = async (plugins: readonly Plugin[], roles: readonly Role[] = ['region', 'rack']): Promise<string> => {
  const halves = await loadHalves(plugins, roles)
  try { checkGraph(plugins, halves); return '' } catch (error) {
    expect(error).toMatchObject({ code: 'GRAPH_INVALID' })
    return (error as BedplateError).message
  }
}

describe('the graph', () => {
  const faults: [what: string, plugins: readonly Plugin[], sentence: string, roles?: readonly Role[]][] = [
    ['a name listed twice', [toy('twin'), toy('twin')], 'plugin "twin": listed twice'],
    ['a name that is not kebab-case', [toy('BadName')], 'plugin "BadName": a name is kebab-case'],
    ['a name of the core', [toy('http')], 'plugin "http": the name belongs to the core'],
    ['a token nobody provides', [toy('x', [], { requires: { noun: toyToken('y.noun') } })], 'token "y.noun": required by x (region), provided by no region half; no plugin "y" is listed'],
    ['a token only the other role has', [toy('x', [], { requires: { a }, roles: ['rack'] }), toy('a', [], { provides: { a }, roles: ['region'] })], 'required by x (rack), provided by no rack half; a (region) has it, but the rack gets it only by a call'],
    ['a token of a half this controller does not run', [toy('x', [], { requires: { a }, roles: ['rack'] }), toy('a', [], { provides: { a }, roles: ['region'] })], '; a has only a region half', ['rack']],
    ['a token provided twice', [toy('a', [], { provides: { a } }), toy('b', [], { provides: { a } })], 'token "a.noun": provided by both a (region) and b (region)'],
    ['a token that is no <plugin>.<noun>', [toy('a', [], { provides: { bad: toyToken('.') } })], 'token "." is not <plugin>.<noun>'],
    ['a cycle', [toy('a', [], { requires: { c }, provides: { a }, roles: ['region'] }), toy('b', [], { requires: { a }, provides: { b }, roles: ['region'] }), toy('c', [], { requires: { b }, provides: { c }, roles: ['region'] })],
      'cycle: a (region) → c.noun → c (region) → b.noun → b (region) → a.noun → a (region)'],
    ['a half that requires itself', [toy('a', [], { requires: { a }, provides: { a }, roles: ['rack'] })], 'cycle: a (rack) → a.noun → a (rack)'],
    ['a method that is not camelCase', [{ manifest: defineManifest({ ...emptyManifest('a'), rpc: { 'Do-It': method({ answeredBy: 'rack', params: Type.Object({}), result: Type.Object({}) }) } }) }], 'a: method "Do-It" is not camelCase'],
    ['a token that is the core\'s', [toy('a', [], { provides: { self: toyToken('core.self') } })], 'token "core.self": provided by a (region), but the name belongs to the core'],
    ['what the core gives a region alone', [toy('a', [], { requires: { controllers: Controllers }, roles: ['rack'] })], 'token "core.controllers": required by a (rack), provided by no rack half; the core provides it to a region alone'],
    ['a kind that is no plain name', [{ manifest: defineManifest({ ...emptyManifest('a'), facts: { 'a b': Type.Object({}) } }) }], 'a: kind "a b" is not a plain name']
  ]
  test.each(faults)('refuses %s', async (_what, plugins, sentence, roles) => { expect(await problemsOf(plugins, roles)).toContain(sentence) })

  test('the core\'s own tokens may be required without a provider', async () => {
    expect(await problemsOf([toy('a', [], { requires: { self: Self } }), toy('b', [], { requires: { self: Self, controllers: Controllers }, roles: ['region'] })])).toBe('')
  })

  test('tells all faults in one error', async () => {
    const message = await problemsOf([toy('Bad', [], { requires: { a } }), toy('twin'), toy('twin')])
    expect(message.split('\n').length).toBeGreaterThanOrEqual(5)
    expect(message).toMatch(/Bad[^]*twin[^]*a\.noun/)
  })

  test('says which missing plugin the configuration leaves out', async () => {
    const plugins = [toy('x', [], { requires: { a } })]
    const halves = await loadHalves(plugins, ['region'])
    expect(() => checkGraph(plugins, halves, ['a'])).toThrow('provided by no region half; the plugin "a" is left out by the setting "without"')
  })

  test('orders halves after those they require, else as listed, regions before racks', async () => {
    const plugins = [toy('x', [], { requires: { b } }), toy('first'), toy('a', [], { provides: { a } }), toy('b', [], { requires: { a }, provides: { b } })]
    const ordered = checkGraph(plugins, await loadHalves(plugins, ['region', 'rack'])).map(halfName)
    expect(ordered).toEqual(['a (region)', 'b (region)', 'x (region)', 'first (region)', 'a (rack)', 'b (rack)', 'x (rack)', 'first (rack)'])
  })

  test('loading tells every half that could not be imported', async () => {
    const broken = (name: string): Plugin => ({ ...toy(name), rack: () => Promise.reject(new SyntaxError(`${name} is broken`)) })
    await expect(loadHalves([broken('a'), broken('b')], ['rack'])).rejects.toThrow(/Loading a \(rack\)[^]*a is broken[^]*Loading b \(rack\)/)
  })

  test('loading tells a half that is none, such as a whole module', async () => {
    await expect(loadHalves([{ ...toy('a'), region: async () => ({ default: {} }) as never }], ['region'])).rejects.toThrow('Loading a (region) failed to start: it gives no half: "region" of the plugin must be a function whose promise gives what defineRegion made')
  })
})

describe('what setup returned', () => {
  test.each<[what: string, value: unknown]>([['nothing', undefined], ['a promise', Promise.resolve({})], ['no services', { provides: {}, rpc: {} }], ['a service that cannot stop', { provides: {}, rpc: {}, services: [{ name: 'x', start () {}, health () {} }] }]])('is refused when it is %s, as plain JavaScript may give', (_what, value) => {
    const running = value as never
    expect(() => checkRunning([{ manifest: emptyManifest('a'), running }], [{ manifest: emptyManifest('b'), running }])).toThrow(/a \(region\): setup must return, at once[^]*b \(rack\): setup must return/)
  })

  const rpc = { ask: method({ answeredBy: 'region', params: Type.Object({}), result: Type.Object({}) }), tell: method({ answeredBy: 'rack', params: Type.Object({}), result: Type.Object({}) }) }
  const manifest = defineManifest({ ...emptyManifest('a'), rpc, wanted: { thing: Type.Object({}) }, facts: { seen: Type.Object({}) } })
  const service = (name: string, on?: 'leader') => ({ name, ...(on === undefined ? {} : { on }), start: async () => {}, stop: async () => {}, health: () => running })

  test('tells missing and undeclared handlers, wanted state and facts nobody handles, and bad services', () => {
    let message = ''
    try {
      checkRunning([{ manifest, running: { provides: {}, rpc: { extra: async () => ({}) }, services: [service('same'), service('same')] } }], [{ manifest, running: { provides: {}, rpc: {}, services: [service('single', 'leader'), service('two words')] } }])
    } catch (error) { message = (error as BedplateError).message }
    for (const sentence of [
      'a (region): method "ask" has no handler',
      'a (region): handler "extra" is not declared for the region in the manifest',
      'a (region): the manifest has wanted kinds (thing), but there is no wanted()',
      'a (region): the manifest has facts (seen), but there is no facts()',
      'a (region): two services are called "same"',
      'a (rack): method "tell" has no handler',
      'a (rack): the manifest has wanted kinds (thing), but there is no apply()',
      'a (rack): service "single" asks for leadership',
      'a (rack): service name "two words"'
    ]) expect(message).toContain(sentence)
  })

  test('is content when all fits', () => {
    checkRunning([{ manifest, running: { provides: {}, rpc: { ask: async () => ({}) }, services: [service('one', 'leader')], wanted: async () => [], facts: async () => {} } }],
      [{ manifest, running: { provides: {}, rpc: { tell: async () => ({}) }, services: [], apply: () => {} } }])
  })
})
