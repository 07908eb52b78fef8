/** The four calls of the Reflect metadata draft that the certificate library's container makes; imported before it, for its side effect. */

const store = new WeakMap<object, Map<unknown, unknown>>()

const own = (target: object, key: unknown): unknown => store.get(target)?.get(key)

/** The metadata of the target itself or of the nearest prototype that has it. */
function inherited (target: object, key: unknown): unknown {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (store.get(at)?.has(key)) return own(at, key)
  }
  return undefined
}

function define (key: unknown, value: unknown, target: object): void {
  const kept = store.get(target) ?? new Map<unknown, unknown>()
  store.set(target, kept.set(key, value))
}

if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, {
    defineMetadata: define,
    getMetadata: (key: unknown, target: object) => inherited(target, key),
    getOwnMetadata: (key: unknown, target: object) => own(target, key),
    metadata: (key: unknown, value: unknown) => (target: object) => { define(key, value, target) }
  })
}
