/**
 * The built-in plugins, in order. The order decides only what tokens leave open: among halves that do not require one another, the first
 * listed is set up, started and mounted first, and stopped last. So it runs from what others lean on to what faces the machines:
 * who may ask, then addresses, who watches over the rest, power and files, then the machines that join them, and last the packets that reach for all of it.
 */
import access from '../plugins/access/index.ts'
import boot from '../plugins/boot/index.ts'
import dhcp from '../plugins/dhcp/index.ts'
import images from '../plugins/images/index.ts'
import machines from '../plugins/machines/index.ts'
import network from '../plugins/network/index.ts'
import power from '../plugins/power/index.ts'
import provision from '../plugins/provision/index.ts'
import tracking from '../plugins/tracking/index.ts'
import type { Plugin } from './plugin.ts'

export const plugins: readonly Plugin[] = [access, network, tracking, power, images, machines, provision, dhcp, boot]
