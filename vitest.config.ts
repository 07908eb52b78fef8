/** Three projects: quick (the inner loop, real PostgreSQL included), system (namespaces and real clients; root), lab (virtual machines). */
import { defineConfig } from 'vitest/config'

const globalSetup = ['test/kit/global-setup.ts']
export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      { test: { name: 'quick', include: ['test/**/*.test.ts'], exclude: ['test/**/*.{system,lab}.test.ts'], globalSetup, testTimeout: 20_000, hookTimeout: 30_000 } },
      { test: { name: 'system', include: ['test/**/*.system.test.ts'], globalSetup, testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false } },
      { test: { name: 'lab', include: ['test/**/*.lab.test.ts'], testTimeout: 1_500_000, hookTimeout: 900_000, fileParallelism: false } }
    ]
  }
})
