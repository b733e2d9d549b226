// The time that the film shows in the top row of its picture, as a binary number, lowest bit first.

/** Width and height of a bit, in pixels of the film. */
export const CELL = 16;
/** Bits. */
export const BITS = 11;
/** The number goes up so often in a second. */
export const PER_SECOND = 8;

/** The film's time that `video` shows now, in seconds; NaN when there is no picture. */
export function timeShown(video) {
  if (video.videoWidth === 0) return NaN;
  const canvas = document.createElement('canvas');
  canvas.width = CELL * BITS;
  canvas.height = CELL;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < BITS; bit++) {
    const [red] = context.getImageData(bit * CELL + CELL / 2, CELL / 2, 1, 1).data;
    if (red > 127) number += 2 ** bit;
  }
  // A step is shown from its beginning to its end: its middle errs by half a step at most.
  return (number + 0.5) / PER_SECOND;
}
