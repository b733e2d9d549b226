// The server's side: one setting.

async function register({ registerSetting }) {
  registerSetting({
    name: 'trackers',
    label: 'Trackers',
    type: 'input',
    descriptionHTML: 'WebSocket addresses of WebTorrent trackers where viewers find each other, separated by spaces. None: nobody shares.',
    default: '',
    private: false,
  });
}

async function unregister() {}

module.exports = { register, unregister };
