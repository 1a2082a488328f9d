/** What can drive a tier below full, as the ledger and the ambient status name it: a sensor, or something that is none. */

import { SENSOR_NAMES, type SensorName } from './sensors.ts'

/** `waitSeconds` is the planner's own: records would wait too long in a denser tier. */
export type Driver = 'none' | 'waitSeconds' | 'override' | 'emergency' | SensorName

/** The order is part of the ambient status; `none` is 0. */
export const DRIVERS: readonly Driver[] = ['none', 'waitSeconds', 'override', 'emergency', ...SENSOR_NAMES]
