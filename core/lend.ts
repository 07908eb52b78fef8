/** Lends the contract to plugins from outside: `bedplate/core/plugin.ts` and its like mean this daemon's own files, wherever the plugin lies, so that one BedplateError is every BedplateError. */
import { registerHooks } from 'node:module'

const tree = new URL('../', import.meta.url)
// What a plugin inside the tree may import, and no more.
const lent = /^bedplate\/(core\/(plugin|errors|health|program|socket)\.ts|plugins\/[a-z0-9-]+\/manifest\.ts)$/

let done = false
/** From now on, for the whole process; it has to last, because halves are imported later. Repeating it does nothing. */
export function lendContract (): void {
  if (done) return
  done = true
  registerHooks({
    resolve (specifier, context, next) {
      if (specifier.startsWith('bedplate/')) {
        if (!lent.test(specifier)) throw new TypeError(`"${specifier}" is not for plugins: they may import bedplate/core/plugin.ts, errors.ts, health.ts, program.ts and socket.ts, and bedplate/plugins/<name>/manifest.ts`)
        return next(new URL(specifier.slice('bedplate/'.length), tree).href, context)
      }
      try {
        return next(specifier, context)
      } catch (error) {
        // The manifest's schemas are TypeBox's: a plugin that brings none uses ours.
        if (!/^typebox(\/|$)/.test(specifier) || (error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
        return next(specifier, { ...context, parentURL: import.meta.url })
      }
    }
  })
}
