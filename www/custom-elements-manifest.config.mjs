// What custom-elements.json says of the elements: what pages may use, and nothing else.

const INTERNAL = new Set(['getTemplateHTML', 'handleEvent', 'tuning', 'fail', 'textContent', 'attributeChangedCallback', 'connectedCallback', 'disconnectedCallback']);

/** Leaves out private members and what embedders have no use for; a setter's documentation is its getter's. */
const promised = {
  name: 'promised',
  packageLinkPhase({ customElementsManifest }) {
    const classes = customElementsManifest.modules.flatMap(({ declarations }) => declarations).filter(({ kind }) => kind === 'class');
    for (const one of classes) {
      const members = new Map();
      for (const member of one.members ?? []) {
        if (member.name.startsWith('#') || member.privacy === 'private' || INTERNAL.has(member.name)) continue;
        members.set(member.name, { ...member, ...members.get(member.name) });
      }
      one.members = [...members.values()];
      one.attributes = (one.attributes ?? []).filter(({ description, fieldName }) => description || !fieldName);
      // Without `@fires` an event has no description: those are passed on, or are somebody else's.
      one.events = (one.events ?? []).filter(({ description }) => description);
      one.superclass = { name: 'HTMLElement' };
    }
    const video = classes.find(({ tagName }) => tagName === 'potluck-video');
    const player = classes.find(({ tagName }) => tagName === 'potluck-player');
    const from = { name: video.name, module: 'src/public/potluck-video.ts' };
    const inherited = (list, own, key = 'name') => [
      ...own,
      ...list.filter((one) => !one.static && own.every((other) => other[key] !== one[key])).map((one) => ({ ...one, inheritedFrom: from })),
    ];
    // The browser's own controls are not for an element that has some.
    player.attributes = inherited(video.attributes.filter(({ name }) => name !== 'controls' && name !== 'waitingreason'), player.attributes);
    player.events = inherited(video.events, player.events ?? []);
    player.members = inherited(video.members, player.members);
    // Named as the package has them: the sources are not in it.
    const path = 'dist/package.js';
    const says = (one) => JSON.parse(JSON.stringify(one).replaceAll(/src\/public\/[\w-]+\.ts/g, path));
    customElementsManifest.modules = [{
      kind: 'javascript-module',
      path,
      declarations: [video, player].map(says),
      exports: [video, player].flatMap(({ name, tagName }) => [
        { kind: 'js', name, declaration: { name, module: path } },
        { kind: 'custom-element-definition', name: tagName, declaration: { name, module: path } },
      ]),
    }];
  },
};

export default {
  globs: ['src/public/potluck-video.ts', 'src/public/potluck-player.ts'],
  outdir: 'dist',
  quiet: true,
  plugins: [promised],
};
