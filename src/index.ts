export { type Clock, type ScheduleOptions, type Timer } from './clock.ts'
