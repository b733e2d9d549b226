// Ed25519 signatures (RFC 8032 §5.1.7): by the browser where it knows them, else worked out here. A bundle of its own: only streams with
// signed hash lists load it.

/** Whether `signature` (64 bytes) over `message` is one of `key` (32 bytes). */
export async function verify(key: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, signature, message);
  } catch {
    // Browsers of before 2025 do not know it.
    return verifyHere(key, signature, message);
  }
}

type Bytes = Uint8Array<ArrayBuffer>;
/** X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z. */
type Point = readonly [bigint, bigint, bigint, bigint];

const P = 2n ** 255n - 19n;
/** Order of the base point. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * power(121666n, P - 2n));
/** A square root of -1. */
const ROOT = power(2n, (P - 1n) / 4n);
const ZERO: Point = [0n, 1n, 1n, 0n];

/** The same without the browser's help, but for SHA-512. Nothing here is secret, so nothing has to take the same time. */
export async function verifyHere(key: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  const base = decode(number(4n * power(5n, P - 2n), 32));
  const [own, r] = [decode(key), decode(signature.slice(0, 32))];
  const s = integer(signature.subarray(32));
  if (!base || !own || !r || s >= L || key.length !== 32 || signature.length !== 64) return false;
  const digest = await crypto.subtle.digest('SHA-512', new Uint8Array([...signature.subarray(0, 32), ...key, ...message]));
  const k = integer(new Uint8Array(digest)) % L;
  const [left, right] = [times(base, s), add(r, times(own, k))];
  return mod(left[0] * right[2] - right[0] * left[2]) === 0n && mod(left[1] * right[2] - right[1] * left[2]) === 0n;
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = mod(base); exponent > 0n; exponent >>= 1n, square = mod(square * square)) {
    if (exponent & 1n) result = mod(result * square);
  }
  return result;
}

/** Little-endian. */
function integer(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function number(value: bigint, length: number): Uint8Array {
  let rest = mod(value);
  return Uint8Array.from({ length }, () => {
    const byte = Number(rest & 255n);
    rest >>= 8n;
    return byte;
  });
}

/** RFC 8032 §5.1.3. */
function decode(bytes: Uint8Array): Point | null {
  const encoded = integer(bytes);
  const [odd, y] = [encoded >> 255n, encoded & ((1n << 255n) - 1n)];
  if (y >= P) return null;
  const [u, v] = [mod(y * y - 1n), mod(D * y * y + 1n)];
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n), (P - 5n) / 8n));
  if (mod(v * x * x) === mod(-u)) x = mod(x * ROOT);
  if (mod(v * x * x) !== u || (x === 0n && odd === 1n)) return null;
  if ((x & 1n) !== odd) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

/** RFC 8032 §5.1.4. */
function add(one: Point, other: Point): Point {
  const a = mod((one[1] - one[0]) * (other[1] - other[0]));
  const b = mod((one[1] + one[0]) * (other[1] + other[0]));
  const c = mod(2n * one[3] * D * other[3]);
  const d = mod(2n * one[2] * other[2]);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function times(point: Point, factor: bigint): Point {
  let sum = ZERO;
  for (let double = point; factor > 0n; factor >>= 1n, double = add(double, double)) {
    if (factor & 1n) sum = add(sum, double);
  }
  return sum;
}
