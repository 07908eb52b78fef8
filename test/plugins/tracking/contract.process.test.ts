/** tracking keeps what every plugin promises, on a region with a rack, and on a rack alone. */
import network from '../../../plugins/network/index.ts'
import tracking from '../../../plugins/tracking/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'

pluginConformance(tracking, { besides: [network] })
pluginConformance(tracking, { besides: [network], roles: ['rack'], config: { regions: ['127.0.0.1:1'] } })
