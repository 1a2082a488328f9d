/** The ways we break our promises on purpose. Every promise has one at least; add yours when you add a promise. */

import type { Mutant } from './mutant-run.ts'

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'damaged batches count as intact: CRC check off in storage and on reads',
    file: 'src/batch/record-batch.ts',
    find: 'return crcOf(bytes, at + ATTRIBUTES_AT, at + batchBytes) === crcAt(bytes, at)',
    replace: 'return true',
    tests: ['test/storage/damage.test.ts'],
  },
  {
    name: 'damaged batches are taken at the doors: CRC check off',
    file: 'src/batch/record-batch.ts',
    find: 'if (crc !== crcStated) {',
    replace: 'if (crc !== crcStated && bytes.length < 0) {',
    tests: ['test/broker/handlers/00-produce'],
  },
  {
    name: 'an append is acknowledged before its sync',
    file: 'src/storage/group-commit.ts',
    find: '      try {\n        await this.#commit(group)',
    replace: '      group.resolve()\n      try {\n        await this.#commit(group)',
    tests: ['test/storage/partition-log.test.ts'],
  },
  {
    name: 'an append is not synced at all',
    file: 'src/storage/segment.ts',
    find: 'await (await this.#file).datasync()',
    replace: 'await this.#file',
    tests: ['test/storage/partition-log.test.ts'],
  },
  {
    name: 'the broker answers before the log is durable',
    file: 'src/broker/handlers/00-produce.ts',
    find: 'return allOf(durables).then(',
    replace: 'return Promise.resolve().then(',
    tests: ['test/broker/crash.test.ts'],
  },
  {
    name: 'a torn tail stays in the log',
    file: 'src/storage/log-recovery.ts',
    find: '    await file.truncate(scan.endPosition)\n',
    replace: '',
    tests: ['test/storage/torn-tail.test.ts'],
  },
  {
    name: 'an offset is committed before the output made from its record, at least once',
    file: 'src/processor/at-least-once-delivery.ts',
    find: '      await Promise.all([this.#sendLedger(ledger), ...sends])\n',
    replace: '',
    tests: ['test/processor/processor.test.ts'],
  },
  {
    name: 'an offset is committed before the output made from its record, exactly once',
    file: 'src/processor/processor.ts',
    find: '      for (const { enricher } of moved) enricher.flush()\n',
    replace: '',
    tests: ['test/processor/processor.test.ts'],
  },
  {
    name: 'the ledger is told of debt after the output is committed',
    file: 'src/processor/transactional-delivery.ts',
    find: 'const booked = this.#sendLedger(ledger)',
    replace: 'const booked = null; setTimeout(() => { this.#begin(); void this.#sendLedger(ledger) }, 5)',
    tests: ['test/processor/processor.test.ts'],
  },
  {
    name: 'a switch of tiers leaves an offset in nobody’s books',
    file: 'src/processor/batch-tiers.ts',
    find: '      last: work.nextOffset - 1,',
    replace: '      last: Math.max(assigned.position, work.nextOffset - 2),',
    tests: ['test/processor/processor.test.ts'],
  },
  {
    name: 'what is settled may be settled again',
    file: 'src/ledger/debt-ranges.ts',
    find: "    if (entry.state !== 'open') problems.push(formatEntry(entry))\n",
    replace: '',
    tests: ['test/ledger'],
  },
]
