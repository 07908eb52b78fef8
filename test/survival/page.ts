/** The generated section of docs/boot-availability.md: the measured table with what stands around it. Pure. */
export const document = new URL('../../docs/boot-availability.md', import.meta.url)
const [first, last] = ['<!-- written by npm run survive -- --write -->', '<!-- end of what npm run survive wrote -->']
const title = '# Boot: what a machine survives'

const section = (table: string, base: string): string => `${first}
## Measured: the rack that serves a deployment is taken away

\`npm run survive -- --write\` (root) builds a region and two racks, each in a network namespace of its own, and a UEFI machine under emulation in the segment both racks serve. Each cell is one deployment of Debian 12 that begins
from a copy of the same commissioned machine. What goes over the racks' cables tells when a moment has come and which rack serves: that one is killed with \`kill -9\` and stays dead, or its cable to the segment is taken out and stays out,
or all its processes are stopped for 90 s and then go on.

A cell: whether the machine ended Deployed and could be logged in to, with nobody touching it and no new commissioning · from the fault to the first content that a rack gave the machine after it · from the order to deploy to
Deployed. ${base} Each is one run under emulation: whole times depend more on what else the cores do than on the fault.
An empty cell was not run.

${table}
${last}`

/** The document with the section in it: in its old place, else at the end; a document that does not exist yet is ''. */
export function written (text: string, table: string, base: string): string {
  const [from, to] = [text.indexOf(first), text.indexOf(last)]
  return from === -1 || to < from ? `${text.trim() === '' ? title : text.trimEnd()}\n\n${section(table, base)}\n` : `${text.slice(0, from)}${section(table, base)}${text.slice(to + last.length)}`
}
