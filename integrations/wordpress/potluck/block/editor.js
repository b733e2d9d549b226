// The block in the editor: what visitors see comes from the server.
(function () {
  'use strict';
  const { createElement: el, Fragment } = window.wp.element;
  const { PanelBody, Placeholder, SelectControl, TextControl, ToggleControl } = window.wp.components;
  const { InspectorControls, useBlockProps } = window.wp.blockEditor;
  const { __ } = window.wp.i18n;

  window.wp.blocks.registerBlockType('potluck/player', {
    edit({ attributes, setAttributes }) {
      const text = (name, label, help, more) => el(TextControl, { key: name, label, help, value: attributes[name] || '', onChange: (value) => setAttributes({ [name]: value }), ...more });
      const toggle = (name, label) => el(ToggleControl, { key: name, label, checked: Boolean(attributes[name]), onChange: (value) => setAttributes({ [name]: value }) });
      const consent = [
        { value: 'ask', label: __('ask the viewer', 'potluck') }, { value: 'granted', label: __('the site has asked', 'potluck') },
        { value: 'download-only', label: __('take, do not give', 'potluck') }, { value: 'off', label: __('do not share', 'potluck') },
      ];
      return el(Fragment, null,
        el(InspectorControls, null,
          el(PanelBody, { title: __('Playback', 'potluck') },
            toggle('autoplay', __('Play at once', 'potluck')), toggle('muted', __('Without sound at first', 'potluck')), toggle('loop', __('Again from the beginning', 'potluck'))),
          el(PanelBody, { title: __('Sharing', 'potluck') },
            el(SelectControl, { label: __('Before sharing', 'potluck'), value: attributes.consent, options: consent, onChange: (value) => setAttributes({ consent: value }) }),
            text('trackers', __('Trackers', 'potluck'), __('wss://…; empty: those of Settings → Media', 'potluck')))),
        el('div', useBlockProps(), el(Placeholder, { icon: 'format-video', label: 'Potluck', isColumnLayout: true },
          text('src', __('Address', 'potluck'), __('A playlist (.m3u8), or a page of a PeerTube instance', 'potluck'), { type: 'url' }),
          text('heading', __('Heading', 'potluck')), text('poster', __("Poster's address", 'potluck'), undefined, { type: 'url' }))));
    },
    save: () => null,
  });
})();
