/** Deliberate faults in the decision code: one expression each, replaced as its file is loaded. Every one must be caught. */

export interface Mutant {
  readonly name: string
  readonly file: string
  /** Must be in the file exactly once. */
  readonly from: string
  readonly to: string
}

export const mutants: readonly Mutant[] = []
