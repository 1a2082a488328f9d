/** The embedded broker alone, as a process: `node broker-main.ts <directory> <port> [options as JSON]`. Prints its port. */

import { Registry } from 'prom-client'
import { Broker } from '../../src/broker/broker.ts'
import { systemClock } from '../../src/core/clock.ts'
import { systemRandom } from '../../src/core/random.ts'
import { systemDisk } from '../../src/core/system-disk.ts'
import { openDiagnostics } from '../../src/telemetry/logger.ts'

const [directory = '', port = '0', options = '{}'] = process.argv.slice(2)
const broker = await Broker.start({
  disk: systemDisk,
  clock: systemClock,
  random: systemRandom,
  directory,
  host: '127.0.0.1',
  port: Number(port),
  diagnostics: openDiagnostics({ level: 'warn', format: 'json', isColored: false, thread: 'broker' }),
  metrics: new Registry(),
  options: JSON.parse(options),
})
process.stdout.write(`port ${broker.port}\n`)
process.on('SIGTERM', () => void broker.stop().then(() => process.exit(0)))
// The broker's own timers and sockets do not keep a process alive.
setInterval(() => {}, 1_000_000)
