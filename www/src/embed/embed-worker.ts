// The worker of the iframe's page: the engine, whose requests go without the visitor's cookies.

import './without-credentials.js';
import '../internal/worker.js';
