/** What operators poll with today: one ipmitool for each poll, and FreeIPMI's ipmipower, which asks all hosts from one process. */
import { BedplateError } from '../../core/errors.ts'
import type { Namespace } from '../../test/kit/network.ts'
import type { Account } from './bmcs.ts'

export interface Cost { readonly polls: number, readonly cpu: number /* s, user and system, of everything started */, readonly wall: number /* s */ }

/** Runs a command of bash under its `time`; the answers are counted by the lines that match. */
async function timed (namespace: Namespace, command: string, answer: RegExp, expected: number): Promise<Cost> {
  const { code, stdout, stderr } = await namespace.exec(['bash', '-c', `TIMEFORMAT='cost %U %S %R'; time { ${command}; }`], { timeout: 300_000 })
  const polls = stdout.split('\n').filter(line => answer.test(line)).length
  const cost = /cost (\S+) (\S+) (\S+)/.exec(stderr)
  if (cost === null || polls !== expected) throw new BedplateError('UNAVAILABLE', { reason: `${polls} of ${expected} BMCs answered (exit ${code}): ${stdout.slice(0, 300)} ${stderr.slice(-500)}` })
  return { polls, cpu: Number(cost[1]) + Number(cost[2]), wall: Number(cost[3]) }
}

/** Four at a time: two more than there are processors, for a part of each is waiting. */
export const ipmitool = (namespace: Namespace, hosts: readonly string[], { user, password, cipher }: Account): Promise<Cost> =>
  timed(namespace, `printf '%s\\n' ${hosts.join(' ')} | xargs -P 4 -I {} ipmitool -I lanplus -L OPERATOR -C ${cipher} -H {} -U ${user} -P ${password} chassis power status`, /Chassis Power is (on|off)/, hosts.length)

/** `times` calls, each of which asks every host. */
export const ipmipower = (namespace: Namespace, hosts: readonly string[], { user, password, cipher }: Account, times: number): Promise<Cost> =>
  timed(namespace, `for n in $(seq ${times}); do ipmipower -D LAN_2_0 -l OPERATOR -I ${cipher} -u ${user} -p ${password} -h ${hosts.join(',')} --stat; done`, /: (on|off)$/, hosts.length * times)
