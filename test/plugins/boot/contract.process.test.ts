/** boot keeps the contract of a plugin. */
import boot from '../../../plugins/boot/index.ts'
import dhcp from '../../../plugins/dhcp/index.ts'
import images from '../../../plugins/images/index.ts'
import machines from '../../../plugins/machines/index.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import provision from '../../../plugins/provision/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'
import { freePort } from './rig.ts'

pluginConformance(boot, { besides: [network, power, images, machines, provision, dhcp], roles: ['region', 'rack'], config: { boot: { tftpPort: await freePort(), iscsiPort: 0 } } })
