/** A process that runs a program until it is killed, and says the program's id. */
import { systemClock } from '../../core/clock.ts'
import { createLogger } from '../../core/log.ts'
import { createProgram } from '../../core/program.ts'

const program = createProgram({ name: 'sleeper', command: 'sleep', args: ['600'], install: 'apt install coreutils', clock: systemClock, log: createLogger('silent'), ready: () => true })
await program.start(new AbortController().signal)
process.stdout.write(`${program.pid()}\n`)
