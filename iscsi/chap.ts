/** CHAP, both ways: RFC 1994, and RFC 7143 section 12.1. Pure but for the random challenge it is given. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { formatBinary, parseBinary, parseNumber } from './text.ts'
import type { Pairs } from './text.ts'

export interface Credentials { readonly name: string, readonly secret: string }
/** `target`: what this side proves itself with when it is asked to. */
export interface ChapOptions { readonly initiators: readonly Credentials[], readonly target?: Credentials | undefined, readonly random: (bytes: number) => Buffer }

/** Strongest first; an initiator's order counts all the same. 12.1.1 and 12.1.3 */
const hashes: ReadonlyMap<number, string> = new Map([[8, 'sha3-256'], [7, 'sha256'], [6, 'sha1'], [5, 'md5']])
const longestChallenge = 1024
const challengeLength = 16

export type ChapStep = { readonly kind: 'go on' | 'done', readonly answers: Pairs } | { readonly kind: 'failed', readonly reason: string }
const failed = (reason: string): ChapStep => ({ kind: 'failed', reason })

const respond = (hash: string, identifier: number, secret: string, challenge: Uint8Array): Buffer => createHash(hash).update(Buffer.of(identifier)).update(secret).update(challenge).digest()

/** One exchange, from `CHAP_A` to the answer to the initiator's own challenge. */
export class Chap {
  private readonly options: ChapOptions
  private hash = ''
  private identifier = 0
  private challenge: Buffer | undefined

  constructor (options: ChapOptions) { this.options = options }

  /** Takes what the initiator says. After `failed` the login is over. */
  step (pairs: Pairs): ChapStep {
    const said = new Map(pairs)
    if (this.challenge === undefined) return this.begin(said.get('CHAP_A'))
    return this.judge(this.challenge, said)
  }

  private begin (algorithms: string | undefined): ChapStep {
    if (algorithms === undefined) return failed('CHAP_A is missing')
    const chosen = algorithms.split(',').map(parseNumber).find(one => one !== undefined && hashes.has(one))
    if (chosen === undefined) return failed(`none of the algorithms ${algorithms.slice(0, 64)} is known`)
    this.hash = hashes.get(chosen) ?? 'md5'
    const random = this.options.random(challengeLength + 1)
    this.identifier = random[0] ?? 0
    this.challenge = random.subarray(1)
    return { kind: 'go on', answers: [['CHAP_A', String(chosen)], ['CHAP_I', String(this.identifier)], ['CHAP_C', formatBinary(this.challenge)]] }
  }

  private judge (challenge: Buffer, said: ReadonlyMap<string, string>): ChapStep {
    const { initiators, target } = this.options
    const name = said.get('CHAP_N')
    const response = parseBinary(said.get('CHAP_R') ?? '', 64)
    if (name === undefined || response === undefined) return failed('CHAP_N or CHAP_R is missing')
    const known = initiators.find(one => one.name === name)
    // For a name nobody knows the same is worked out, so that the time it takes tells nothing.
    const expected = respond(this.hash, this.identifier, known?.secret ?? '', challenge)
    const right = response.length === expected.length && timingSafeEqual(response, expected)
    if (known === undefined || !right) return failed('the name or the secret is wrong')
    const [identifier, theirs] = [said.get('CHAP_I'), said.get('CHAP_C')]
    if (identifier === undefined && theirs === undefined) return { kind: 'done', answers: [] }
    const number = parseNumber(identifier ?? '')
    const asked = parseBinary(theirs ?? '', longestChallenge)
    if (number === undefined || number > 255 || asked === undefined || asked.length === 0) return failed('CHAP_I or CHAP_C is missing or wrong')
    if (asked.equals(challenge)) return failed('the challenge is this target\'s own, reflected') // 12.1.3
    if (target === undefined) return failed('this target has no secret to prove itself with')
    if (target.secret === known.secret) return failed('both sides have the same secret') // 12.1.3: responses could be reflected
    return { kind: 'done', answers: [['CHAP_N', target.name], ['CHAP_R', formatBinary(respond(this.hash, number, target.secret, asked))]] }
  }
}
