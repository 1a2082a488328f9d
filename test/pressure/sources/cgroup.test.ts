import { describe, expect, it } from 'vitest'
import {
  findMemoryLimit,
  parseCgroupPaths,
  parseKilobyteLine,
  parseMemoryLimit,
  withAncestors,
} from '../../../src/pressure/sources/cgroup.ts'
import { kernelDisk } from './kernel-disk.ts'

const MEMINFO = 'MemTotal:       24684092 kB\nMemFree:        10684092 kB\n'

describe('parseCgroupPaths', () => {
  it('finds the unified hierarchy of version 2', () => {
    expect(parseCgroupPaths('0::/system.slice/gophership.service\n')).toEqual({
      unified: '/system.slice/gophership.service',
      memory: null,
    })
  })

  it('finds the memory controller of version 1, also among others, with colons in its path', () => {
    const text = '12:pids:/a\n9:hugetlb,memory:/docker/b:c\n1:name=systemd:/init\n0::/\n'

    expect(parseCgroupPaths(text)).toEqual({ unified: '/', memory: '/docker/b:c' })
  })

  it('finds nothing in nothing', () => {
    expect(parseCgroupPaths('')).toEqual({ unified: null, memory: null })
    expect(parseCgroupPaths('garbage\n::\n')).toEqual({ unified: null, memory: null })
  })
})

describe('parseMemoryLimit', () => {
  it.each([
    ['536870912\n', 536_870_912],
    ['max\n', null],
    ['9223372036854771712\n', null],
    ['0\n', null],
    ['', null],
    ['-1', null],
    ['12 MB', null],
  ])('of %j is %j', (text, bytes) => {
    expect(parseMemoryLimit(text)).toBe(bytes)
  })
})

describe('parseKilobyteLine', () => {
  it('reads the line it is asked for', () => {
    expect(parseKilobyteLine(MEMINFO, 'MemTotal')).toBe(24_684_092 * 1_024)
    expect(parseKilobyteLine('VmRSSx: 1 kB\nVmRSS:\t    1740 kB\n', 'VmRSS')).toBe(1_740 * 1_024)
    expect(parseKilobyteLine('VmRSS: many\n', 'VmRSS')).toBeNull()
    expect(parseKilobyteLine('', 'VmRSS')).toBeNull()
  })
})

describe('withAncestors', () => {
  it('goes up to the root', () => {
    expect(withAncestors('/a/b')).toEqual(['/a/b', '/a', ''])
    expect(withAncestors('/')).toEqual([''])
    expect(withAncestors('/../b')).toEqual(['/b', ''])
  })
})

describe('findMemoryLimit', () => {
  it('takes the lowest limit of version 2 on the way to the root', async () => {
    const disk = kernelDisk({
      '/proc/self/cgroup': '0::/outer/inner\n',
      '/sys/fs/cgroup/outer/inner/memory.max': 'max\n',
      '/sys/fs/cgroup/outer/memory.max': '1073741824\n',
      '/proc/meminfo': MEMINFO,
    })

    expect(await findMemoryLimit(disk)).toEqual({
      bytes: 1_073_741_824,
      path: '/sys/fs/cgroup/outer/memory.max',
    })
  })

  it('finds a container’s own limit at the root of what it sees, though its path is the host’s', async () => {
    const disk = kernelDisk({
      '/proc/self/cgroup': '5:memory:/docker/0123\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '268435456\n',
      '/proc/meminfo': MEMINFO,
    })

    expect((await findMemoryLimit(disk))?.bytes).toBe(268_435_456)
  })

  it('is the machine’s memory where no group limits it, or where limits exceed it', async () => {
    const disk = kernelDisk({
      '/proc/self/cgroup': '4:memory:/a\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '99999999999999\n',
      '/proc/meminfo': MEMINFO,
    })

    expect(await findMemoryLimit(disk)).toEqual({ bytes: 24_684_092 * 1_024, path: '/proc/meminfo' })
  })

  it('is not known where nothing can be read', async () => {
    expect(await findMemoryLimit(kernelDisk({}))).toBeNull()
  })
})
