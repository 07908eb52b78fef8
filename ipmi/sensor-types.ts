/** Names out of tables 42-2, 42-3 and 43-15 of IPMI 2.0, as far as people need them. `!` marks what is critical, `?` what is a warning; the rest is information. */

export const sensorTypes: Readonly<Record<number, string>> = {
  0x01: 'temperature', 0x02: 'voltage', 0x03: 'current', 0x04: 'fan', 0x05: 'chassis security', 0x06: 'platform security', 0x07: 'processor', 0x08: 'power supply', 0x09: 'power unit', 0x0a: 'cooling device',
  0x0b: 'other units', 0x0c: 'memory', 0x0d: 'drive', 0x0e: 'POST memory resize', 0x0f: 'system firmware', 0x10: 'event log', 0x11: 'watchdog', 0x12: 'system event', 0x13: 'critical interrupt', 0x14: 'button',
  0x15: 'module or board', 0x16: 'microcontroller', 0x17: 'add-in card', 0x18: 'chassis', 0x19: 'chip set', 0x1a: 'other FRU', 0x1b: 'cable', 0x1c: 'terminator', 0x1d: 'system boot', 0x1e: 'boot error', 0x1f: 'operating system boot',
  0x20: 'operating system stop', 0x21: 'slot or connector', 0x22: 'ACPI power state', 0x23: 'watchdog 2', 0x24: 'platform alert', 0x25: 'entity presence', 0x26: 'monitor ASIC', 0x27: 'LAN', 0x28: 'management subsystem health',
  0x29: 'battery', 0x2a: 'session audit', 0x2b: 'version change', 0x2c: 'FRU state'
}

/** Offsets of events that mean the same with every sensor, by event type. */
export const genericEvents: Readonly<Record<number, readonly string[]>> = {
  0x01: [
    '?is below its lower non-critical threshold', '?has risen to its lower non-critical threshold', '!is below its lower critical threshold', '!has risen to its lower critical threshold', '!is below its lower non-recoverable threshold', '!has risen to its lower non-recoverable threshold',
    '?has fallen to its upper non-critical threshold', '?is above its upper non-critical threshold', '!has fallen to its upper critical threshold', '!is above its upper critical threshold', '!has fallen to its upper non-recoverable threshold', '!is above its upper non-recoverable threshold'
  ],
  0x02: ['is idle', 'is active', 'is busy'],
  0x03: ['state deasserted', 'state asserted'],
  0x04: ['no failure predicted', '?predicted to fail'],
  0x05: ['limit not exceeded', '?limit exceeded'],
  0x06: ['performance met', '?performance lags'],
  0x07: ['is OK', '?went from OK to non-critical', '!went to critical from less severe', '!went to non-recoverable from less severe', '?went to non-critical from more severe', '!went to critical from non-recoverable', '!is non-recoverable', 'monitor', 'information'],
  0x08: ['absent', 'present'],
  0x09: ['disabled', 'enabled'],
  0x0a: ['is running', 'is in test', 'is off', 'is on line', '?is off line', '?is off duty', '?is degraded', 'saves power', '!failed to install'],
  0x0b: ['is redundant', '?lost redundancy', '?has degraded redundancy', '?not redundant, resources suffice', '?not redundant, resources suffice', '!not redundant, resources do not suffice', '?redundancy degraded from full', '?redundancy degraded from none'],
  0x0c: ['D0', 'D1', 'D2', 'D3']
}

/** Offsets of events of event type 0x6f, by sensor type. */
export const specificEvents: Readonly<Record<number, readonly string[]>> = {
  0x05: ['?general intrusion', '?drive bay opened', '?card area opened', '?processor area opened', '?LAN cable unplugged', '?undocked without permission', '?fan area opened'],
  0x06: ['?secure mode violated', '?wrong user password', '?wrong setup password', '?wrong network boot password', '?wrong password', '?wrong out-of-band password'],
  0x07: ['!IERR', '!thermal trip', '!FRB1, self test failed', '!FRB2, hung in POST', '!FRB3, did not start', '!configuration error', '!uncorrectable SMBIOS error', 'present', '?disabled', 'terminator present', '?throttled', '!uncorrectable machine check', '?correctable machine check'],
  0x08: ['present', '!failed', '?predicted to fail', '!lost its input', '!lost its input or is out of range', '!input out of range', '?configuration error', 'inactive'],
  0x09: ['switched off', 'power cycled', 'switched off at 240 VA', 'interlock switched off', '!AC lost', '!soft power control failed', '!failed', '?predicted to fail'],
  0x0c: ['?correctable error', '!uncorrectable error', '!parity error', '!scrub failed', '?disabled', '?too many correctable errors to log', 'present', '!configuration error', 'spare', '?throttled', '!critical overtemperature'],
  0x0d: ['present', '!fault', '?predicted to fail', 'hot spare', 'consistency check', '!in a critical array', '!in a failed array', 'rebuilding', '?rebuild aborted'],
  0x0f: ['!POST error', '!hung', 'progress'],
  0x10: ['?logging of correctable memory errors disabled', '?logging of an event type disabled', 'log cleared', '?all logging disabled', '?log full', '?log almost full', '?logging of correctable machine checks disabled'],
  0x12: ['reconfigured', 'OEM boot event', '!undetermined hardware failure', 'entry added to the auxiliary log', 'PEF action', 'clock synchronised'],
  0x13: ['!front panel NMI', '!bus timeout', '!I/O channel check NMI', '!software NMI', '!PCI PERR', '!PCI SERR', '!EISA fail-safe timeout', '?correctable bus error', '!uncorrectable bus error', '!fatal NMI', '!fatal bus error', '?degraded bus'],
  0x14: ['power button pressed', 'sleep button pressed', 'reset button pressed', 'FRU latch open', 'FRU service request'],
  0x19: ['?soft power control failure', '!thermal trip'],
  0x1b: ['connected', '?wrongly connected'],
  0x1d: ['power up', 'hard reset', 'warm reset', 'network boot asked for', 'boot into diagnostics', 'operating system initiated hard reset', 'operating system initiated warm reset', 'restarted'],
  0x1e: ['?no bootable medium', '?no bootable disk in the drive', '?PXE server not found', '?invalid boot sector', '?timed out waiting for a choice'],
  0x1f: ['A: boot completed', 'C: boot completed', 'PXE boot completed', 'diagnostic boot completed', 'CD-ROM boot completed', 'ROM boot completed', 'boot completed', 'installation started', 'installation completed', '?installation aborted', '!installation failed'],
  0x20: ['!stopped while loading', '!stopped at run time', 'stopped gracefully', 'shut down gracefully', 'shut down by PEF', 'agent does not answer'],
  0x21: ['?fault', 'identify', 'device installed', 'ready for a device', 'ready for removal', 'power off', 'removal requested', 'interlock', 'disabled', 'spare'],
  0x22: ['S0/G0, working', 'S1', 'S2', 'S3', 'S4', 'S5/G2, soft off', 'S4/S5, soft off', 'G3, mechanical off', 'sleeping', 'G1, sleeping', 'S5 by override', 'legacy on', 'legacy off', 'unknown'],
  0x23: ['?timer expired', '!hard reset', '!power down', '!power cycle', '', '', '', '', '?timer interrupt'],
  0x25: ['present', 'absent', '?disabled'],
  0x28: ['?sensor access degraded', '?controller access degraded', '?controller off line', '!controller unavailable', '?sensor failure', '?FRU failure'],
  0x29: ['?low', '!failed', 'present'],
  0x2a: ['session activated', 'session ended', '?wrong user name or password', '?too many wrong passwords'],
  0x2b: ['hardware changed', 'firmware or software changed', '?hardware incompatible', '?firmware or software incompatible', '?hardware of an invalid version', '?firmware or software of an invalid version', 'hardware change succeeded', 'firmware or software change succeeded'],
  0x2c: ['not installed', 'inactive', 'wants to be activated', 'is being activated', 'active', 'wants to be deactivated', 'is being deactivated', '?communication lost']
}

/** Table 43-15. */
export const units: readonly string[] = [
  '', '°C', '°F', 'K', 'V', 'A', 'W', 'J', 'C', 'VA', 'nit', 'lm', 'lx', 'cd', 'kPa', 'psi', 'N', 'CFM', 'RPM', 'Hz', 'µs', 'ms', 's', 'min', 'h', 'd', 'weeks', 'mil', 'in', 'ft', 'in³', 'ft³', 'mm', 'cm', 'm', 'cm³', 'm³', 'l', 'fl oz', 'rad', 'sr', 'revolutions', 'cycles', 'g',
  'oz', 'lbf', 'oz in', 'G', 'Gb', 'H', 'mH', 'F', 'µF', 'Ω', 'S', 'mol', 'Bq', 'ppm', '', 'dB', 'dBA', 'dBC', 'Gy', 'Sv', 'K', 'bit', 'kbit', 'Mbit', 'Gbit', 'B', 'kB', 'MB', 'GB'
]
