import 'potluck-player';

/**
 * The element. `ref` is a media element; attributes and properties go through; handlers are `on` and the event's own name in small letters: `onplay`,
 * `onstatschange`, `onpotluckwarning`. React keeps names like `onPlay` for its own <video>.
 */
export function PotluckPlayer(properties) {
  return <potluck-player {...properties} />;
}
