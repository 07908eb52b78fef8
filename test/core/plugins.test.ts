/** The built-in plugins fit together in every set of roles. */
import { describe, expect, test } from 'vitest'
import { checkGraph } from '../../core/graph.ts'
import { loadHalves } from '../../core/load.ts'
import type { Role } from '../../core/plugin.ts'
import { plugins } from '../../core/plugins.ts'

describe('the built-in plugins', () => {
  test.each<{ roles: readonly Role[] }>([{ roles: ['region', 'rack'] }, { roles: ['region'] }, { roles: ['rack'] }])('fit together as $roles', async ({ roles }) => {
    const halves = await loadHalves(plugins, roles)
    expect(checkGraph(plugins, halves)).toHaveLength(halves.length)
  })
})
