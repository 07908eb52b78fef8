/** What operators write as the value of an option, and how it is refused. */
import { BedplateError } from '../../../core/errors.ts'

/** A text (lists with commas), or the same as JSON. */
export type OptionValue = string | number | boolean | readonly OptionValue[] | { readonly [key: string]: OptionValue }

/** OPTION_INVALID; `option` is the name its sentence begins with. */
export const invalid = (option: string, reason: string): BedplateError => new BedplateError('OPTION_INVALID', { option, reason })
