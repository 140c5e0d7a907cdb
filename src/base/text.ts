// Owns how untrusted text is shown to a person: control, bidirectional, zero-width and tag characters become visible
// escapes, and a cut is always said.

// C0/C1 controls but for newline and tab, soft hyphen, Arabic letter mark, zero-width and bidi marks, line/paragraph
// separators, invisible operators, variation selectors, BOM, interlinear marks and the tag block.
const HIDDEN =
  // eslint-disable-next-line no-control-regex -- these are exactly the characters that must not reach a terminal
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

/** The text with every hidden character written as `\u{…}`. Newline and tab stay. */
export function showHidden(text: string): string {
  return text.replace(HIDDEN, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The first `max` characters, and never half of one: a text with half a character in it has no canonical form. */
export function cutTo(text: string, max: number): string {
  if (text.length <= max) return text;
  const last = text.charCodeAt(max - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max);
}

const MADE_UP_CHARS = 200;

/** A name that nobody configured, cut with a mark that no configured name holds: what is left of it is never one of those. */
export function cutName(name: string): string {
  return name.length <= MADE_UP_CHARS ? name : `${cutTo(name, MADE_UP_CHARS - 1)}…`;
}

/** `showHidden`, cut to `max` characters with the cut and the full length stated. */
export function showCut(text: string, max: number): string {
  const shown = showHidden(text);
  return shown.length <= max ? shown : `${cutTo(shown, max)}… (cut, ${text.length} characters in all)`;
}

/** The text with a full stop, unless it ends as a sentence does: another one follows it. */
export function stopped(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Several sentences or parts of one as one clause, which something may follow. */
export function joinReasons(reasons: readonly string[]): string {
  return reasons.map((reason) => reason.replace(/\.$/, '')).join('; ');
}
