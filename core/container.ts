/** Construction only: awilix holds one registration for each half and each token, per role. The kernel starts and stops. */
import { asFunction, createContainer } from 'awilix'
import type { ActiveRack, ActiveRegion } from './active.ts'
import { BedplateError } from './errors.ts'
import { halfName } from './graph.ts'
import type { Half } from './graph.ts'
import type { Tokens } from './plugin.ts'

type Running = ActiveRegion['running'] | ActiveRack['running']
type SetUp = (half: Half, deps: Readonly<Record<string, unknown>>) => Running

/** `resolve` sets a half up (once), those it requires first, and gives what its setup returned. `given`: what the core itself provides, by token. Throws START_FAILED naming the half. */
export function createHalves (halves: readonly Half[], setUp: SetUp, given: Readonly<Record<string, unknown>> = {}): { resolve(half: Half): Running } {
  const container = createContainer<Record<string, unknown>>({ strict: true })
  const nameOf = (half: Half) => `${half.role}:${half.manifest.name}`
  for (const half of halves) {
    const construct = (): Running => {
      const deps = mapValues(half.half.requires, ({ id }) => Object.hasOwn(given, id) ? given[id] : container.resolve(`${half.role}:${id}`))
      try {
        return setUp(half, Object.freeze(deps))
      } catch (cause) {
        if (cause instanceof BedplateError) throw cause
        throw new BedplateError('START_FAILED', { what: `${halfName(half)} setup`, reason: cause instanceof Error ? cause.message : String(cause) }, cause)
      }
    }
    container.register(nameOf(half), asFunction(construct).singleton())
    for (const [key, { id }] of Object.entries(half.half.provides)) {
      container.register(`${half.role}:${id}`, asFunction(() => {
        const provided = (container.resolve(nameOf(half)) as Partial<Running> | undefined)?.provides as Readonly<Record<string, unknown>> | undefined
        if (provided?.[key] === undefined) throw new BedplateError('GRAPH_INVALID', { problems: `  ${halfName(half)}: setup did not provide "${key}" (token ${id})` })
        return provided[key]
      }).singleton())
    }
  }
  return { resolve: half => container.resolve(nameOf(half)) as Running }
}

const mapValues = (tokens: Tokens, get: (token: Tokens[string]) => unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(tokens).map(([key, token]) => [key, get(token)]))
