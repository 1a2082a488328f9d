/**
 * Branded number types: a record offset, a partition id and an API key are all numbers, and passing one for
 * another is a bug the compiler can find. A brand costs nothing at run time.
 */

declare const brand: unique symbol
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name }

/** A record's position in a partition, 0 to 2^53 - 1; -1 where the Kafka protocol says "none". */
export type Offset = Branded<number, 'Offset'>
/** A partition's index within its topic, 0 to 2^31 - 1. */
export type PartitionId = Branded<number, 'PartitionId'>
/** The number of a Kafka API, as in the protocol guide (Produce is 0). */
export type ApiKey = Branded<number, 'ApiKey'>

/** Names a number as an offset. The caller has checked it, or it comes from arithmetic on offsets. */
export const asOffset = (value: number): Offset => value as Offset
/** Names a number as a partition id. The caller has checked it. */
export const asPartitionId = (value: number): PartitionId => value as PartitionId
/** Names a number as an API key. */
export const asApiKey = (value: number): ApiKey => value as ApiKey

/** "No offset" on the Kafka wire. */
export const NO_OFFSET: Offset = asOffset(-1)
