/**
 * Text from a disk, or from a process that reads one, for a terminal: control characters, and those that turn the
 * direction of writing, become "?".
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?');
}
