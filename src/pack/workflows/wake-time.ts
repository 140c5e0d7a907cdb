// Owns the reading of a wake time: ISO 8601 with a zone, on a day that the calendar has.
import type { EpochMs } from '../../base/clock.ts';

const FORM = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])(\d\d):(\d\d))$/;

export type WakeTime = { ok: true; at: EpochMs } | { ok: false; why: string };

/** Parts of a millisecond count up, so that no wake is early. */
function wholeMs(fraction: string): number {
  return Math.ceil(Number(fraction.padEnd(9, '0')) / 1e6);
}

/** The instant of a wake time. Never `Date.parse`, which takes 30 February for the 2nd of March. */
export function parseWakeTime(text: string): WakeTime {
  const found = FORM.exec(text);
  if (found === null) {
    const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/.test(text);
    return {
      ok: false,
      why: hasZone
        ? 'is not an ISO 8601 time such as 2027-03-01T09:00:00Z'
        : 'names no zone; end it with Z or an offset such as +01:00',
    };
  }
  const part = (index: number): number => Number(found[index] ?? '0');
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)];
  // Not Date.UTC(year, …): it takes the years 0 to 99 for 1900 to 1999.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) {
    return { ok: false, why: 'names a day that the calendar does not have' };
  }
  if (hour > 23 || minute > 59 || second > 59 || part(9) > 23 || part(10) > 59) {
    return { ok: false, why: 'names a time of day that does not exist' };
  }
  const offset = (found[8] === '-' ? -1 : 1) * (part(9) * 60 + part(10)) * 60_000;
  const at = date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + wholeMs(found[7] ?? '') - offset;
  return at < 0 ? { ok: false, why: 'lies before 1970' } : { ok: true, at };
}
