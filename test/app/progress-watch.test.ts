import { expect, test } from 'vitest'
import { ProgressWatch } from '../../src/app/progress-watch.ts'

const at = (position: number, lagRecords: number) => [
  { topic: 'raw-vault.web', partition: 0, position, lagRecords },
]
const watch = () => new ProgressWatch({ stalledMsMin: 8_000 })

test('a partition with work that stands still for long enough is stalled', () => {
  const progress = watch()

  expect(progress.observe(at(10, 5), 0)).toEqual([])
  expect(progress.observe(at(10, 9), 7_999)).toEqual([])
  expect(progress.observe(at(10, 9), 8_000)).toEqual(at(10, 9))
})

test('a partition that is behind but moves is not stalled', () => {
  const progress = watch()

  for (let ms = 0, position = 0; ms <= 60_000; ms += 4_000, position += 1) {
    expect(progress.observe(at(position, 1_000_000), ms)).toEqual([])
  }
})

test('a partition without work is never stalled, and its patience starts when work arrives', () => {
  const progress = watch()
  progress.observe(at(10, 0), 0)
  progress.observe(at(10, 0), 60_000)

  expect(progress.observe(at(10, 1), 64_000)).toEqual([])
  expect(progress.observe(at(10, 1), 68_000)).toEqual(at(10, 1))
})

test('a partition that went to another worker and came back starts anew', () => {
  const progress = watch()
  progress.observe(at(10, 1), 0)
  progress.observe([], 4_000)

  expect(progress.observe(at(10, 1), 60_000)).toEqual([])
})
