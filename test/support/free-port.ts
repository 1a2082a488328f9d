/** Ports for processes under test: asked of the operating system, so that two runs never collide by design. */

import { createServer } from 'node:net'

/** A loopback TCP port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') {
        reject(new Error('expected a TCP address from listen(0)'))
        return
      }
      server.close(() => resolve(address.port))
    })
  })
}
