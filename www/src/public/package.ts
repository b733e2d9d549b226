// What `import 'potluck-player'` gives: the elements, registered, with each file where a bundler has put it.

import './package-files.js';

export * from './index.js';
