/** provision keeps the contract of a plugin. */
import images from '../../../plugins/images/index.ts'
import machines from '../../../plugins/machines/index.ts'
import network from '../../../plugins/network/index.ts'
import power from '../../../plugins/power/index.ts'
import provision from '../../../plugins/provision/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'

pluginConformance(provision, { besides: [network, power, images, machines] })
