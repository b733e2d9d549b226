// TimeRanges cannot be constructed by scripts.

/** At most one range, in seconds. */
export function timeRange(start: number, end: number): TimeRanges {
  const range = end >= start ? ([start, end] as const) : null;
  const at = (index: number, value: number | undefined): number => {
    if (index !== 0 || value === undefined) throw new DOMException(`there is no range ${index}`, 'IndexSizeError');
    return value;
  };
  return {
    length: range ? 1 : 0,
    start: (index) => at(index, range?.[0]),
    end: (index) => at(index, range?.[1]),
  };
}
