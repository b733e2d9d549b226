// Imported ahead of what makes requests.

import { omitCredentials } from './omit-credentials.js';

omitCredentials();
