/** What a rack and its iSCSI process say to each other over their pipe. Types, and the names of targets. */
import type { Address } from '../../../iscsi/server.ts'
import type { SessionEvent } from '../../../iscsi/connection.ts'

/** A root file system that is here, whole. */
export interface Root { readonly sha256: string, readonly path: string }

/** To the process. `serve`: where, the first that can be had; once, before anything else. `ask`: whether it is alive. */
export type ToProcess = { readonly kind: 'serve', readonly portals: readonly Address[], readonly roots: readonly Root[] } | { readonly kind: 'offer', readonly roots: readonly Root[] } | { readonly kind: 'ask', readonly number: number }

/** To the rack. `unusable`: a file that was to be offered and is not, and why. */
export type FromProcess =
  | { readonly kind: 'serving', readonly port: number }
  | { readonly kind: 'refused', readonly reason: string }
  | { readonly kind: 'unusable', readonly sha256: string, readonly reason: string }
  | { readonly kind: 'session', readonly event: SessionEvent }
  | { readonly kind: 'log', readonly level: 'debug' | 'info' | 'warn', readonly words: Readonly<Record<string, unknown>>, readonly message: string }
  | { readonly kind: 'alive', readonly number: number, readonly sessions: number }

/** The same on every rack, so that an initiator whose rack has died goes on at another. */
export const targetName = (sha256: string): string => `iqn.2026-11.io.bedplate:root.${sha256}`
/** What the unit calls itself; from it come its other identifications. */
export const serialOf = (sha256: string): string => sha256.slice(0, 32)
