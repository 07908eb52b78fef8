/** RMCP+ algorithms and cipher suites as data: IPMI 2.0 sections 13.28 and 22.15.2; 15 to 17 are of its errata 4 and later. Those with MD5 or RC4 are not done. */

/** How RAKP proves who is who, and how long its HMACs are, in bytes. `check`: of RAKP 4. */
export interface Authentication { readonly number: number, readonly hash: 'sha1' | 'sha256' | undefined, readonly length: number, readonly check: number }
export interface Integrity { readonly number: number, readonly hash: 'sha1' | 'sha256' | undefined, readonly length: number }
export interface Confidentiality { readonly number: number, readonly aes: boolean }
/** `safe`: user and password are proven and packets signed; the others are refused unless they are asked for by number. */
export interface Suite { readonly id: number, readonly authentication: Authentication, readonly integrity: Integrity, readonly confidentiality: Confidentiality, readonly safe: boolean }

const rakp = {
  none: { number: 0, hash: undefined, length: 0, check: 0 },
  sha1: { number: 1, hash: 'sha1', length: 20, check: 12 },
  sha256: { number: 3, hash: 'sha256', length: 32, check: 16 }
} as const satisfies Record<string, Authentication>
const signed = {
  none: { number: 0, hash: undefined, length: 0 },
  sha1: { number: 1, hash: 'sha1', length: 12 },
  sha256: { number: 4, hash: 'sha256', length: 16 }
} as const satisfies Record<string, Integrity>
const hidden = { none: { number: 0, aes: false }, aes: { number: 1, aes: true } } as const

const suite = (id: number, authentication: Authentication, integrity: Integrity, confidentiality: Confidentiality): Suite => ({ id, authentication, integrity, confidentiality, safe: integrity.number !== 0 })
export const suites: readonly Suite[] = [
  suite(0, rakp.none, signed.none, hidden.none),
  suite(1, rakp.sha1, signed.none, hidden.none), suite(2, rakp.sha1, signed.sha1, hidden.none), suite(3, rakp.sha1, signed.sha1, hidden.aes),
  suite(15, rakp.sha256, signed.none, hidden.none), suite(16, rakp.sha256, signed.sha256, hidden.none), suite(17, rakp.sha256, signed.sha256, hidden.aes)
]
export const suiteNumbered = (id: number): Suite | undefined => suites.find(one => one.id === id)
/** For a managed system: the suite these three algorithms make. */
export const suiteOf = (authentication: number, integrity: number, confidentiality: number): Suite | undefined => suites.find(one => one.authentication.number === authentication && one.integrity.number === integrity && one.confidentiality.number === confidentiality)
