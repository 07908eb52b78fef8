/** The DHCP area of the bench. */
import type { Area } from '../area.ts'
import { firstLine } from '../machine.ts'
import { change } from './cases/change.ts'
import { cases as durable } from './cases/durable.ts'
import { journal } from './cases/journal.ts'
import { pair } from './cases/pair.ts'
import { tail } from './cases/tail.ts'
import { takeover } from './cases/takeover.ts'
import { openPlace } from './place.ts'
import type { Place } from './place.ts'

export const dhcp: Area<Place> = {
  name: 'dhcp',
  packages: ['kea-dhcp4-server', 'kea-admin', 'kea-common', 'isc-dhcp-server', 'gcc', 'libc6-dev', 'iproute2', 'util-linux', 'curl', 'postgresql', 'postgresql-contrib'],
  cases: [...durable, tail, change, journal, pair, takeover],
  open: openPlace,
  close: place => place.close(),
  versions: async () => [`Kea ${await firstLine('/usr/sbin/kea-dhcp4', ['-v'])}`, `ISC dhcpd ${await firstLine('/usr/sbin/dhcpd', ['--version'])}`, await firstLine('/usr/bin/psql', ['--version'])]
}
