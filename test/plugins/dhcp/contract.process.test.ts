/** The whole plugin in a real daemon, held against the contract every plugin keeps. */
import dhcp from '../../../plugins/dhcp/index.ts'
import network from '../../../plugins/network/index.ts'
import { pluginConformance } from '../../kit/conformance/plugin.ts'

pluginConformance(dhcp, { besides: [network], roles: ['region', 'rack'] })
