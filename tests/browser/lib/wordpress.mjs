// A WordPress of the test's own: Debian's files, a database on a socket, and PHP's own web server, all in one temporary folder.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { WWW } from './package.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

const PLUGIN = fileURLToPath(new URL('../../../integrations/wordpress/potluck', import.meta.url));
const FILES = process.env.WORDPRESS ?? '/usr/share/wordpress';
const ROOT = process.getuid?.() === 0;
/** Runs a program, in a group of processes that ends with it, and with the test: then nobody holds this shell's input any more. */
const LEASH = '("$@"; kill -9 0) & cat > /dev/null; kill -9 0';

const php = program('php');
const mariadb = program('mariadbd');
/** Debian has the themes in packages of their own. */
const theme = existsSync(path.join(FILES, 'wp-load.php')) ? readdirSync(path.join(FILES, 'wp-content/themes')).filter((name) => name.startsWith('twenty')).sort()[0] : undefined;

/** Why its tests are skipped; false where all is installed. */
export const skip = php && mariadb && theme && program('mariadb-install-db') && hasMysql()
  ? false
  : 'WordPress is not installed: apt-get install wordpress wordpress-theme-twentytwentythree mariadb-server-core php-cli php-mysql';

/** Who has an account, with which password. */
export const PASSWORD = 'correct horse battery staple';

/** Sets it up with Potluck active, and accounts `admin`, `contributor` and `subscriber`. */
export async function startWordPress() {
  const folder = await mkdtemp(path.join(tmpdir(), 'potluck-wordpress-'));
  const site = new WordPress(folder, await freePort());
  try {
    await site.start();
  } catch (cause) {
    await site.stop();
    throw cause;
  }
  return site;
}

class WordPress {
  #folder;
  #children = [];
  #said = [];

  constructor(folder, port) {
    this.#folder = folder;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.root = path.join(folder, 'site');
    this.plugin = path.join(this.root, 'wp-content/plugins/potluck');
  }

  async start() {
    const data = path.join(this.#folder, 'data');
    const socket = path.join(this.#folder, 'db.sock');
    const user = ROOT ? ['--user=root'] : [];
    await Promise.all([
      execute(program('mariadb-install-db'), ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=4M', ...user]),
      this.#copy(socket),
    ]);
    this.#run(mariadb, ['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, `--pid-file=${path.join(this.#folder, 'db.pid')}`, '--skip-networking', '--skip-log-bin',
      '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0', '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=4M', ...user]);
    await until('the database answers', () => {
      this.#alive();
      return existsSync(socket);
    }, { seconds: 60, describe: () => this.#said.join('') });
    // Without its web server: a WordPress that can ask itself for a page turns readable addresses on.
    await this.#php(`$db = new mysqli(null, 'root', '', null, 0, $given); $db->query('CREATE DATABASE wordpress'); return true;`, socket, '');
    await this.#php(`
      function wp_new_blog_notification() {}
      require ABSPATH . 'wp-admin/includes/upgrade.php';
      wp_install('A blog', 'admin', 'admin@blog.example', false, '', $given);
      return true;`, PASSWORD, `define('WP_INSTALLING', true); ${this.#load()}`);
    await this.php(`
      foreach (['contributor', 'subscriber'] as $role) wp_insert_user(['user_login' => $role, 'user_pass' => $given['password'], 'user_email' => "$role@blog.example", 'role' => $role]);
      foreach (['permalink_structure' => '', 'show_avatars' => 0, 'comment_previously_approved' => 0, 'comments_notify' => 0, 'moderation_notify' => 0] as $name => $value) update_option($name, $value);
      switch_theme($given['theme']);
      return true;`, { password: PASSWORD, theme });
    this.#run(php, ['-d', 'display_errors=0', '-S', `127.0.0.1:${this.port}`, '-t', this.root], { PHP_CLI_SERVER_WORKERS: '4' });
    await until('the site answers', async () => {
      this.#alive();
      return await fetch(`${this.url}/wp-login.php`).then(({ ok }) => ok, () => false);
    }, { seconds: 60, describe: () => this.#said.slice(-20).join('') });
  }

  /** Runs PHP inside WordPress, as a plugin's code would be, with `$given`; what it returns comes back. Fails at the first notice. */
  async php(code, given = null) {
    return await this.#php(code, given, this.#load());
  }

  /** A new post, written by whom; `raw`: as those who may write any HTML do. Returns its address. */
  async post(title, content, { author = 'admin' } = {}) {
    const id = await this.php(`
      $user = get_user_by('login', $given['author']);
      wp_set_current_user($user->ID);
      kses_init();
      return wp_insert_post(wp_slash(['post_title' => $given['title'], 'post_content' => $given['content'], 'post_status' => 'publish', 'post_author' => $user->ID]), true);`, { title, content, author });
    return { id, url: `${this.url}/?p=${id}` };
  }

  /** What PHP had to say while pages were served. */
  async log() {
    return await readFile(path.join(this.root, 'wp-content/debug.log'), 'utf8').catch(() => '');
  }

  async stop() {
    for (const { child, ended } of this.#children.reverse()) {
      try {
        // The web server's own children too.
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #copy(socket) {
    await cp(FILES, this.root, { recursive: true, dereference: true, filter: (from) => !from.startsWith(path.join(FILES, 'wp-config')) && (existsSync(from)) });
    await mkdir(path.join(this.root, 'wp-content/plugins'), { recursive: true });
    await cp(PLUGIN, this.plugin, { recursive: true });
    await cp(WWW, path.join(this.plugin, 'player'), { recursive: true });
    // Browsers ask for one; PHP's server answers by itself where a name looks like a file's.
    await writeFile(path.join(this.root, 'favicon.ico'), '');
    const settings = {
      DB_NAME: 'wordpress', DB_USER: 'root', DB_PASSWORD: '', DB_HOST: `localhost:${socket}`, DB_CHARSET: 'utf8mb4', DB_COLLATE: '',
      WP_HOME: this.url, WP_SITEURL: this.url, WP_CONTENT_DIR: path.join(this.root, 'wp-content'),
      WP_DEBUG: true, WP_DEBUG_LOG: true, WP_DEBUG_DISPLAY: false,
      // It asks nobody, and changes nothing by itself.
      WP_HTTP_BLOCK_EXTERNAL: true, DISABLE_WP_CRON: true, AUTOMATIC_UPDATER_DISABLED: true,
      ...Object.fromEntries(['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'].map((name) => [name, `${name} of this test`])),
    };
    const lines = Object.entries(settings).map(([name, value]) => `define('${name}', ${typeof value === 'boolean' ? value : `'${value}'`});`);
    await writeFile(path.join(this.root, 'wp-config.php'), `<?php\n${lines.join('\n')}\n$table_prefix = 'wp_';\ndefined('ABSPATH') || define('ABSPATH', __DIR__ . '/');\nrequire ABSPATH . 'wp-settings.php';\n`);
  }

  #load() {
    return `$_SERVER['HTTP_HOST'] = '127.0.0.1:${this.port}'; require '${this.root}/wp-load.php';`;
  }

  async #php(code, given, before) {
    const script = `$given = json_decode(stream_get_contents(STDIN), true); ${before} fwrite(STDOUT, "\\n\\0" . json_encode((function ($given) { ${code} })($given)));`;
    const said = await execute(php, ['-d', 'display_errors=stderr', '-r', script], JSON.stringify(given));
    return JSON.parse(said.slice(said.indexOf('\n\0') + 2));
  }

  #run(command, args, env = {}) {
    const child = spawn('sh', ['-c', LEASH, command, command, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env }, detached: true });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.once('error', (cause) => this.#said.push(String(cause)));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => this.#said.push(String(chunk)));
    this.#children.push({ child, command, ended });
  }

  #alive() {
    for (const { child, command } of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${command} ended by itself: ${this.#said.join('')}`);
    }
  }
}

function execute(command, args, input = '') {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 1e7, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${path.basename(command)}: ${stdout}${stderr}`, { cause: error }));
      else resolve(stdout);
    });
    child.stdin.end(input);
  });
}

/** A program in PATH, or where Debian has servers; null where there is none. */
function program(name) {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin'];
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file)) ?? null;
}

function hasMysql() {
  try {
    execFileSync(php, ['-r', 'exit(extension_loaded("mysqli") ? 0 : 1);'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
