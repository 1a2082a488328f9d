/** Randomness as an argument, so that a failing run can be repeated from its seed. */

import { randomBytes, randomInt } from 'node:crypto'

export interface Random {
  /** A float in [0, 1). */
  float(): number
  /** An integer in [0, bound), for bound from 1 to 2^31. */
  below(bound: number): number
  /** `count` random bytes. */
  bytes(count: number): Buffer
}

/** The operating system's generator: use it for anything an attacker may guess at. */
export const systemRandom: Random = {
  float: () => Math.random(),
  below: (bound) => randomInt(bound),
  bytes: (count) => randomBytes(count),
}

/** A repeatable generator (mulberry32): the same seed gives the same sequence on every machine. Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const nextUint32 = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    float: () => nextUint32() / 4294967296,
    below: (bound) => Math.floor((nextUint32() / 4294967296) * bound),
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => nextUint32() & 0xff)),
  }
}
