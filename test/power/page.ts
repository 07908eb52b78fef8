/** docs/power-routing.md: the measured table with what stands around it. Pure. */
import type { Cost } from './rows.ts'

export interface Result extends Cost { readonly name: string }

export const table = (results: readonly Result[]): string => [
  '| what happens | what comes of it | seconds | switches |', '| --- | --- | ---: | ---: |',
  ...results.map(({ name, outcome, seconds, switches }) => `| ${name} | ${outcome} | ${seconds.toFixed(1)} | ${switches} |`)
].join('\n')

export const page = (results: readonly Result[]): string => `# What a fault costs a power action

Written by \`npm run test:power -- --write\`. Two regions, two racks and simulated BMCs (Redfish, or IPMI where the row says so), each in a network namespace of its own: the racks reach the regions over one bridge and the BMCs over
another, with the program as it is installed. In each row a machine is to be switched on, off or through a cycle, and something goes wrong in the middle: between the BMC's switching and its answer where the
row says "between send and answer" (the answer is held back until the fault has struck).

*Seconds* are from the wish, or from the fault, to its end: the action is done, failed or called off; another rack asks the BMC. *Switches* is how often the power of the machine really went on or off, counted in
the BMC, after everything that was away has come back. Once for a start, twice for a cycle: the run ends with an error where it is another number.

${table(results)}

Why it takes what it takes: a process that is killed leaves a closed connection, which is known at once. One that hangs or is cut off is silent: after 4 s its links are given up, and it is given 7.5 s
more to notice that itself before another rack may touch the machine ([how that is argued](../plugins/power/README.md)). A region that hangs or is killed is followed by the other when its lease has run out (5 s).
`
