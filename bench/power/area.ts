/** The power area of the bench: BMCs asked for their power state, beside ipmitool and FreeIPMI's ipmipower, and 5,000 of them asked by one rack. */
import { join } from 'node:path'
import { BedplateError } from '../../core/errors.ts'
import type { Area, Case, Prepared } from '../area.ts'
import { cpuOf } from '../dhcp/cpu.ts'
import type { Run } from '../figures.ts'
import { firstLine } from '../machine.ts'
import { account, port } from './bmcs.ts'
import { ipmipower, ipmitool, type Cost } from './peers.ts'
import { openPlace, startRack, type Place } from './place.ts'
import type { Polled, PollPlan } from './poller-process.ts'

const many = 1_000
const rate = ({ polls, cpu, wall }: Cost): Run => ({ value: polls / cpu, details: { polls, 'CPU s': cpu, 'wall s': wall } })

interface Options { readonly case: string, readonly peer: 'ipmitool' | 'ipmipower', readonly required: number | null, readonly kept: boolean, readonly cipher?: string }

const polling = ({ case: name, peer, required, kept, cipher = account.cipher }: Options): Case<Place> => ({
  name, required, unit: 'polls per CPU second', better: 'higher', peerName: peer === 'ipmitool' ? 'one ipmitool per poll' : "FreeIPMI's ipmipower, all hosts in one process",
  conditions: `${many} simulated BMCs, each at its own loopback address, in a process whose time counts for nobody; RMCP+ with cipher suite ${cipher}, privilege operator, for all. CPU is user and system time of everything that polls. Ours: the driver in a process of its own, ${kept ? 'its sessions kept from poll to poll, as a rack keeps them: 20 rounds after the one that opens them' : 'a session opened and closed for each poll, as both peers do: 5 rounds'}, 100 at a time. ${peer === 'ipmitool' ? 'ipmitool: four at a time' : 'ipmipower: all hosts at once, 3 calls'}.`,
  async prepare (place): Promise<Prepared> {
    const { namespace, hosts } = await place.bmcs(many)
    const plan: PollPlan = { hosts, port, user: account.user, password: account.password, cipher, kept, rounds: kept ? 20 : 5, atOnce: 100 }
    const login = { ...account, cipher }
    return {
      async ours () {
        const { code, stdout, stderr } = await namespace.exec([process.execPath, join(import.meta.dirname, 'poller-process.ts'), JSON.stringify(plan)], { timeout: 300_000 })
        if (code !== 0) throw new BedplateError('UNAVAILABLE', { reason: `the poller ended with ${code}: ${stderr.slice(-1000)}` })
        const polled = JSON.parse(stdout) as Polled
        return { ...rate(polled), ...polled.failed === 0 ? {} : { fault: `${polled.failed} of ${polled.polls} polls failed: ${polled.why}` } }
      },
      peer: async () => rate(peer === 'ipmitool' ? await ipmitool(namespace, hosts, login) : await ipmipower(namespace, hosts, login, 3)),
      end: async () => {}
    }
  }
})

const crowd = 5_000
const most = 90 // s between two polls of a BMC
const window = 150 // s: each is asked twice at the least
const rack: Case<Place> = {
  name: 'rack-5000', required: 1, unit: 'cores', better: 'lower', peerName: 'the limit, half a core',
  conditions: `${crowd} simulated BMCs (IPMI), each asked every 60 s by one rack daemon with every plugin, beside a region daemon and PostgreSQL; the CPU time of the rack's process over ${window} s, after all of them were asked once. A BMC that is not asked for more than ${most} s makes the run faulty. Both cores for everything.`,
  async prepare (place): Promise<Prepared> {
    const { bmcs, pid, end } = await startRack(place, crowd)
    return {
      peer: 0.5,
      async ours () {
        await bmcs.begin()
        const [cpu, began] = [cpuOf([pid]), performance.now()]
        await new Promise(resolve => { setTimeout(resolve, window * 1000) })
        const [used, wall] = [cpuOf([pid]) - cpu, (performance.now() - began) / 1000]
        const { polls, unasked, longest } = await bmcs.asked()
        return { value: used / wall, details: { polls, 'polls/s': polls / wall, 'longest s between two polls of one': longest, 'CPU s': used }, ...unasked > 0 || longest > most ? { fault: `${unasked} were not asked; the longest wait was ${longest.toFixed(1)} s` } : {} }
      },
      end
    }
  }
}

export const power: Area<Place> = {
  name: 'power',
  packages: ['ipmitool', 'freeipmi-tools', 'iproute2', 'util-linux', 'curl', 'postgresql', 'postgresql-contrib'],
  cases: [
    polling({ case: 'ipmi-ipmitool', peer: 'ipmitool', required: 20, kept: true }),
    polling({ case: 'ipmi-ipmipower', peer: 'ipmipower', required: 1, kept: true }),
    polling({ case: 'ipmi-ipmipower-17', peer: 'ipmipower', required: null, kept: true, cipher: '17' }),
    polling({ case: 'ipmi-ipmipower-fresh', peer: 'ipmipower', required: null, kept: false }),
    rack
  ],
  open: openPlace,
  close: place => place.close(),
  versions: async () => [await firstLine('/usr/bin/ipmitool', ['-V']), await firstLine('/usr/sbin/ipmipower', ['--version']), await firstLine('/usr/bin/psql', ['--version'])]
}
