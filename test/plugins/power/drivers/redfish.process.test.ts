/** redfish on every vendor's simulated BMC, as every driver is judged. */
import { describe } from 'vitest'
import { redfish } from '../../../../plugins/power/drivers/redfish.ts'
import { profiles } from '../../../../sim/bmc/profiles.ts'
import { powerDriverConformance } from '../../../kit/conformance/power-driver.ts'
import { startSubject } from './redfish/subject.ts'

for (const profile of profiles.filter(({ name }) => name !== 'generic')) describe(`of ${profile.title}`, () => { powerDriverConformance(redfish, () => startSubject(profile)) })
