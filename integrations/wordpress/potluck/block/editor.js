// The block in the editor: four fields and three switches; what visitors see comes from the server.
(function () {
  'use strict';
  const { createElement: el, Fragment } = window.wp.element;
  const { PanelBody, TextControl, ToggleControl, Placeholder } = window.wp.components;
  const { InspectorControls, useBlockProps } = window.wp.blockEditor;

  window.wp.blocks.registerBlockType('potluck/player', {
    edit({ attributes, setAttributes }) {
      const text = (name, label, help) => el(TextControl, { key: name, label, help, value: attributes[name] || '', onChange: (value) => setAttributes({ [name]: value }) });
      const toggle = (name, label) => el(ToggleControl, { key: name, label, checked: Boolean(attributes[name]), onChange: (value) => setAttributes({ [name]: value }) });
      return el(Fragment, null,
        el(InspectorControls, null, el(PanelBody, { title: 'Playback' },
          text('trackers', 'Trackers', 'wss://…; empty: as the site has them'),
          toggle('autoplay', 'Play at once'), toggle('muted', 'Without sound at first'), toggle('loop', 'Again from the beginning'))),
        el('div', useBlockProps(), el(Placeholder, { icon: 'format-video', label: 'Potluck' },
          text('src', 'Address', 'A playlist (.m3u8), or a page of a PeerTube instance'), text('heading', 'Heading'), text('poster', "Poster's address"))));
    },
    save: () => null,
  });
})();
