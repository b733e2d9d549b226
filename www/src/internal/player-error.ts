// The errors and warnings that the elements show.

/** Codes that the page side adds to those of the engine. */
export type PageErrorCode = 'src-url' | 'unsupported-browser' | 'engine-unavailable' | 'engine-stopped' | 'native-playback' | 'decode';

/** Something that playback goes on without. */
export interface PotluckWarning {
  /** A stable name for programs. */
  code: string;
  message: string;
}

/** What `error` is on the elements: shaped like a MediaError, with a name for the cause. */
export class PotluckError {
  static readonly MEDIA_ERR_ABORTED = 1;
  static readonly MEDIA_ERR_NETWORK = 2;
  static readonly MEDIA_ERR_DECODE = 3;
  static readonly MEDIA_ERR_SRC_NOT_SUPPORTED = 4;
  readonly MEDIA_ERR_ABORTED = 1;
  readonly MEDIA_ERR_NETWORK = 2;
  readonly MEDIA_ERR_DECODE = 3;
  readonly MEDIA_ERR_SRC_NOT_SUPPORTED = 4;

  /** As in MediaError: 2 network, 3 decode, 4 not supported. */
  readonly code: number;
  /** For people: says what is wrong. */
  readonly message: string;
  /** For programs: a stable name, listed in API.md. */
  readonly name: string;

  constructor(name: string, message: string) {
    this.name = name;
    this.message = message;
    this.code = mediaErrorCode(name);
  }

  /** Same as `name`. */
  get reason(): string {
    return this.name;
  }
}

function mediaErrorCode(name: string): number {
  switch (name) {
    case 'playlist-status':
    case 'playlist-unreachable':
    case 'peertube-unreachable':
      return PotluckError.MEDIA_ERR_NETWORK;
    case 'decode':
    case 'engine-stopped':
      return PotluckError.MEDIA_ERR_DECODE;
    default:
      return PotluckError.MEDIA_ERR_SRC_NOT_SUPPORTED;
  }
}
