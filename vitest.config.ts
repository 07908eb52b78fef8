/**
 * Four projects: quick (the inner loop, real PostgreSQL included), processes (daemons as children, embedded servers that die, whole plugins held to their contract, floods, waits
 * that take seconds), system (namespaces and real clients; root), lab (virtual machines).
 */
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { scratch } from './test/kit/scratch.ts'

const globalSetup = ['test/kit/global-setup.ts']
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3, // on two cores: a good part of the time is waiting, for sockets, the database and disks
    teardownTimeout: 60_000, // the database server has to stop, on a machine that may be busy
    projects: [
      // isolate: a process for each file would spend most of the time on starting it and on importing the same modules again
      { test: { name: 'quick', isolate: false, include: ['test/**/*.test.ts'], exclude: ['test/**/*.{process,system,lab}.test.ts'], globalSetup, env: { TMPDIR: join(scratch(), `bedplate-test-${process.pid}`) }, testTimeout: 30_000, hookTimeout: 30_000 } },
      { test: { name: 'processes', include: ['test/**/*.process.test.ts'], globalSetup, testTimeout: 60_000, hookTimeout: 60_000 } },
      { test: { name: 'system', include: ['test/**/*.system.test.ts'], globalSetup, testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false } },
      { test: { name: 'lab', include: ['test/**/*.lab.test.ts'], testTimeout: 1_500_000, hookTimeout: 900_000, fileParallelism: false } }
    ]
  }
})
