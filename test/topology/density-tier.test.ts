import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { enrich } from './enrich-line.ts'

const excerpt = (name: string) =>
  readFileSync(new URL(`./excerpts/${name}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')

describe('the density-tier topology', () => {
  it('gives each line of a real access log its own time, request, status, size, client and agent', () => {
    const months = ['', 'Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
    for (const line of excerpt('apache_combined.log')) {
      const event = enrich(line)

      // Taken apart by a second, independent reading.
      const [, client, day, month, year, clock, method, target, version, status, bytes, referer, agent] =
        /^(\S+) - - \[(\d\d)\/(\w+)\/(\d+):(\S+) \+0000\] "(\S+) (\S+) HTTP\/(\S+)" (\d+) (\S+) "([^"]*)" "([^"]*)"?$/.exec(
          line,
        ) ?? []
      const [path, query] = (target as string).split('?')
      const mm = String(months.indexOf(month as string)).padStart(2, '0')
      expect(event.timestamp).toBe(`${year}-${mm}-${day}T${clock}.000Z`)
      expect(event.body).toBe(line)
      expect(event.severityText).toBeNull()
      expect(event.attributes).toEqual({
        'client.address': client,
        'http.request.method': method,
        'url.path': path,
        ...(query === undefined ? {} : { 'url.query': query }),
        'network.protocol.name': 'http',
        'network.protocol.version': version,
        'http.response.status_code': Number(status),
        ...(bytes === '-' ? {} : { 'http.response.body.size': Number(bytes) }),
        ...(referer === '-' ? {} : { 'http.request.header.referer': [referer] }),
        ...(agent === '-' ? {} : { 'user_agent.original': agent }),
      })
    }
  })

  it.each([
    [
      'apache.log',
      /^\[\w{3} (\w{3}) (\d\d) (\S+) (\d{4})\] \[(\w+)\]/,
      (m: string[]) => [`${m[4]}-12-${m[2]}T${m[3]}.000Z`, m[5]],
    ],
    [
      'hdfs.log',
      /^(\d\d)(\d\d)(\d\d) (\d\d)(\d\d)(\d\d) \d+ (\w+)/,
      (m: string[]) => [`20${m[1]}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}.000Z`, m[7]],
    ],
    ['hadoop.log', /^(\S+) ([\d:]+),(\d{3}) (\w+)/, (m: string[]) => [`${m[1]}T${m[2]}.${m[3]}Z`, m[4]]],
    ['openstack.log', /^\S+ (\S+) (\S+) \d+ (\w+)/, (m: string[]) => [`${m[1]}T${m[2]}Z`, m[3]]],
  ] as const)('gives each line of %s its own time and level', (name, shape, expected) => {
    for (const line of excerpt(name)) {
      const event = enrich(line)

      const [timestamp, level] = expected(shape.exec(line) as string[])
      expect(event.timestamp).toBe(timestamp)
      expect(event.severityText).toBe(level)
      expect(event.severityNumber).toBeGreaterThan(0)
      expect(event.body).not.toMatch(/\r$/)
    }
  })

  it('gives each line of a syslog file without a year its own time in the year before the record', () => {
    for (const line of excerpt('linux.log')) {
      const event = enrich(line, { recordTimestampMs: Date.UTC(2005, 7, 1) })

      const [, month, day, clock] = /^(\w{3}) ([ \d]\d) (\S+)/.exec(line) ?? []
      const mm = { Jun: '06', Jul: '07' }[month as 'Jun' | 'Jul']
      expect(event.timestamp).toBe(`2005-${mm}-${day?.trim().padStart(2, '0')}T${clock}.000Z`)
      expect(event.severityNumber).toBeNull()
      expect(event.resource['host.name']).toBe('combo')
    }
  })

  it.each(['apache_combined.log', 'apache.log', 'hdfs.log', 'hadoop.log', 'openstack.log', 'linux.log'])(
    'finds the same time and level in %s at partial as at full density',
    (name) => {
      for (const line of excerpt(name)) {
        const { timestamp, severityText, severityNumber } = enrich(line)

        expect(enrich(line, { density: 'partial' })).toMatchObject({
          timestamp,
          severityText,
          severityNumber,
        })
      }
    },
  )
})
