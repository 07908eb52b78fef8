import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isName, Login } from '../../iscsi/login.ts'
import type { Admission } from '../../iscsi/login.ts'
import { loginStatus } from '../../iscsi/opcode.ts'
import { formatText, parseText } from '../../iscsi/text.ts'

const me = 'iqn.2026-01.org.example:me'
const disk = 'iqn.2026-01.org.example:disk'
const names: [string, string][] = [['InitiatorName', me], ['TargetName', disk]]
const open = (admission: Partial<Admission> = {}, sessions: number[] = []) => {
  const login = new Login({ admit: (initiator, target) => target !== undefined && target !== disk ? { status: loginStatus.notFound } : { status: loginStatus.success, ...admission }, portalGroup: 1, hasSession: tsih => sessions.includes(tsih) })
  return (pairs: [string, string][], { stage = 1, next = 3, transit = true, continued = false, tsih = 0, versionMin = 0 } = {}) => {
    const reply = login.step({ transit, continued, current: stage, next, versionMin, tsih, text: formatText(pairs) })
    return { ...reply, said: new Map(parseText(reply.text)) }
  }
}
const chap = { initiators: [{ name: 'alice', secret: 'correct horse battery' }], target: { name: 'disk', secret: 'staple and more of it' }, random: (bytes: number) => Buffer.alloc(bytes, 7) }

describe('a login without proof', () => {
  it('is done in one step from the operational stage', () => {
    const reply = open()([...names, ['HeaderDigest', 'CRC32C,None'], ['MaxRecvDataSegmentLength', '65536']])
    expect(reply).toMatchObject({ status: 0, transit: true, next: 3, established: { initiator: me, target: disk, discovery: false, parameters: { headerDigest: true, sendSegmentLength: 65_536 } } })
    expect([...reply.said]).toEqual([['TargetPortalGroupTag', '1'], ['HeaderDigest', 'CRC32C'], ['MaxRecvDataSegmentLength', '262144']])
  })
  it('or in two, through the security stage', () => {
    const step = open()
    const first = step([...names, ['AuthMethod', 'CHAP,None']], { stage: 0, next: 1 })
    expect(first).toMatchObject({ status: 0, transit: true, next: 1 })
    expect(first.said.get('AuthMethod')).toBe('None')
    expect(step([], { stage: 1, next: 3 }).established).toBeDefined()
  })
  it('or straight from the security stage', () => { expect(open()([...names, ['AuthMethod', 'None']], { stage: 0, next: 3 }).established).toBeDefined() })
  it('of a discovery session needs no target', () => { expect(open()([['InitiatorName', me], ['SessionType', 'Discovery']]).established).toMatchObject({ discovery: true, target: undefined }) })
  it('takes a text in pieces', () => {
    const step = open()
    expect(step([['InitiatorName', me]], { transit: false, continued: true })).toMatchObject({ status: 0, transit: false })
    expect(step([['TargetName', disk]]).established).toMatchObject({ target: disk })
  })
  it('goes on until the initiator says that it is done', () => {
    const step = open()
    expect(step([...names, ['MaxBurstLength', '4096']], { transit: false })).toMatchObject({ status: 0, transit: false })
    expect(step([['FirstBurstLength', '8192']]).established?.parameters).toMatchObject({ maxBurstLength: 4096, firstBurstLength: 4096 })
  })
})

describe('a login is refused', () => {
  const refused = (pairs: [string, string][], options?: Parameters<ReturnType<typeof open>>[1], sessions?: number[]) => open({}, sessions)(pairs, options).status
  it.each<readonly [string, [string, string][], Parameters<ReturnType<typeof open>>[1], number]>([
    ['without an initiator', [['TargetName', disk]], {}, 0x0207],
    ['without a target', [['InitiatorName', me]], {}, 0x0207],
    ['with a name that is none', [['InitiatorName', 'alice'], ['TargetName', disk]], {}, 0x0200],
    ['for a target that is not there', [['InitiatorName', me], ['TargetName', 'iqn.2026-01.org.example:other']], {}, 0x0203],
    ['for a session of an unknown type', [...names, ['SessionType', 'Strange']], {}, 0x0209],
    ['with a later version', names, { versionMin: 1 }, 0x0205],
    ['to join a session that is not there', names, { tsih: 9 }, 0x020a],
    ['from a stage that is none', names, { stage: 2 }, 0x0200],
    ['from the full feature phase', names, { stage: 3 }, 0x0200],
    ['back to where it came from', names, { stage: 1, next: 1 }, 0x0200],
    ['onwards in the middle of a text', names, { continued: true }, 0x0200],
    ['with a key named twice', [...names, ['InitialR2T', 'No'], ['InitialR2T', 'No']], {}, 0x0200]
  ])('%s', (_, pairs, options, status) => { expect(refused(pairs, options)).toBe(status) })
  it('for a second connection of a session', () => { expect(refused(names, { tsih: 9 }, [9])).toBe(loginStatus.tooManyConnections) })
  it('when the negotiation never ends', () => {
    const step = open()
    step(names, { transit: false })
    const statuses = Array.from({ length: 40 }, () => step([], { transit: false }).status)
    expect(statuses.indexOf(loginStatus.initiatorError)).toBe(31)
  })
  it('when its text never ends', () => {
    const step = open()
    const statuses = Array.from({ length: 20 }, () => step([['A', 'x'.repeat(8000)]], { transit: false, continued: true }).status)
    expect(statuses.indexOf(loginStatus.initiatorError)).toBe(8)
  })
})

describe('a login with CHAP', () => {
  const digest = (hash: string, id: number, secret: string, challenge: Buffer) => `0x${createHash(hash).update(Buffer.of(id)).update(secret).update(challenge).digest('hex')}`
  const begin = (algorithms = '5', admission: Partial<Admission> = { chap }) => {
    const step = open(admission)
    expect(step([...names, ['AuthMethod', 'CHAP,None']], { stage: 0, next: 1 })).toMatchObject({ status: 0, transit: false })
    const asked = step([['CHAP_A', algorithms]], { stage: 0, transit: false })
    return { step, asked, id: Number(asked.said.get('CHAP_I')), challenge: Buffer.from((asked.said.get('CHAP_C') ?? '0x').slice(2), 'hex') }
  }
  it.each([['5', 'md5'], ['6', 'sha1'], ['7', 'sha256'], ['8', 'sha3-256']])('by algorithm %s (%s) is let in with the right secret', (algorithm, hash) => {
    const { step, asked, id, challenge } = begin(algorithm)
    expect(asked.said.get('CHAP_A')).toBe(algorithm)
    expect(step([['CHAP_N', 'alice'], ['CHAP_R', digest(hash, id, 'correct horse battery', challenge)]], { stage: 0, next: 1 })).toMatchObject({ status: 0, transit: true, next: 1 })
    expect(step([]).established).toMatchObject({ initiator: me })
  })
  it('takes the first algorithm of the initiator that it knows', () => { expect(begin('99,7,5').asked.said.get('CHAP_A')).toBe('7') })
  it('proves itself when it is asked to', () => {
    const { step, id, challenge } = begin()
    const reply = step([['CHAP_N', 'alice'], ['CHAP_R', digest('md5', id, 'correct horse battery', challenge)], ['CHAP_I', '9'], ['CHAP_C', '0x0102030405']], { stage: 0, next: 1 })
    expect(reply.said.get('CHAP_N')).toBe('disk')
    expect(reply.said.get('CHAP_R')).toBe(digest('md5', 9, 'staple and more of it', Buffer.from('0102030405', 'hex')))
  })
  it.each<readonly [string, (right: string, challenge: Buffer) => [string, string][]]>([
    ['a wrong secret', () => [['CHAP_N', 'alice'], ['CHAP_R', `0x${'00'.repeat(16)}`]]],
    ['a name nobody knows', right => [['CHAP_N', 'bob'], ['CHAP_R', right]]],
    ['no response', () => [['CHAP_N', 'alice']]],
    ['the target\'s own challenge reflected', (right, challenge) => [['CHAP_N', 'alice'], ['CHAP_R', right], ['CHAP_I', '1'], ['CHAP_C', `0x${challenge.toString('hex')}`]]],
    ['half a challenge', right => [['CHAP_N', 'alice'], ['CHAP_R', right], ['CHAP_I', '1']]]
  ])('is refused with %s', (_, say) => {
    const { step, id, challenge } = begin()
    expect(step(say(digest('md5', id, 'correct horse battery', challenge), challenge), { stage: 0, next: 1 }).status).toBe(loginStatus.authenticationFailed)
  })
  it('is refused when the proof is left out, not offered, or of no known algorithm', () => {
    expect(open({ chap })(names).status).toBe(loginStatus.authenticationFailed)
    expect(open({ chap })([...names, ['AuthMethod', 'None']], { stage: 0, next: 1 }).status).toBe(loginStatus.authenticationFailed)
    expect(begin('4,99').asked.status).toBe(loginStatus.authenticationFailed)
  })
  it('does not get past the security stage before the proof', () => {
    const { step } = begin()
    expect(step([], { stage: 0, next: 1 })).toMatchObject({ status: 0, transit: false })
  })
})

it('whatever is said, it answers with a status and never establishes without a proof that is required', () => {
  const pair = fc.tuple(fc.constantFrom('InitiatorName', 'TargetName', 'SessionType', 'AuthMethod', 'CHAP_A', 'CHAP_N', 'CHAP_R', 'CHAP_I', 'CHAP_C', 'HeaderDigest'), fc.constantFrom(me, disk, 'Discovery', 'CHAP', 'None', '5', 'alice', '0x00', '')) as fc.Arbitrary<[string, string]>
  fc.assert(fc.property(fc.array(fc.tuple(fc.array(pair, { maxLength: 6 }), fc.record({ stage: fc.nat(3), next: fc.nat(3), transit: fc.boolean(), continued: fc.boolean() })), { maxLength: 12 }), steps => {
    const step = open({ chap })
    for (const [pairs, options] of steps) {
      const reply = step(pairs, options)
      expect(reply.established).toBeUndefined()
      if (reply.status !== 0) break
    }
  }), { numRuns: 500 })
})

it.each([[me, true], ['eui.02004567A425678D', true], ['naa.52004567BA64678D', true], ['iqn.2026-01.org.example', true], ['alice', false], ['iqn.26-01.org.example', false], [`iqn.2026-01.org.example:${'x'.repeat(250)}`, false], ['', false]])('%s is a name: %s', (name, is) => { expect(isName(name)).toBe(is) })
