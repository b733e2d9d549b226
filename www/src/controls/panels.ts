// What opens over the picture: the sharing panel, statistics, keys, the context menu. A bundle of its own (potluck-panels.js), loaded
// when one of them is opened first.

import { adoptStyle } from '../internal/adopt-style.js';
import { ContextMenu } from './context-menu.js';
import type { PanelName, Stage } from './control.js';
import { KeysSheet } from './keys-sheet.js';
import STYLE from './panels.css';
import { SharingPanel } from './sharing-panel.js';
import { StatsSheet } from './stats-sheet.js';

type Panels = Record<Exclude<PanelName, 'menu'>, HTMLElement> & { menu: ContextMenu };

const panelsOf = new WeakMap<Stage, Panels>();

/** Opens a panel, or closes it when it is open; the context menu opens where the pointer is. */
export function togglePanel(stage: Stage, name: PanelName, at?: MouseEvent): void {
  let panels = panelsOf.get(stage);
  if (!panels) {
    const made = { sharing: new SharingPanel(), statistics: new StatsSheet(), keys: new KeysSheet(), menu: new ContextMenu() };
    const root = stage.layer.getRootNode();
    if (root instanceof ShadowRoot) adoptStyle(root, STYLE);
    stage.layer.append(...Object.values(made));
    for (const panel of Object.values(made)) panel.mount(stage);
    panelsOf.set(stage, made);
    panels = made;
  }
  if (name === 'menu') {
    if (at) panels.menu.show(at);
  } else {
    stage.open(panels[name].hidden ? panels[name] : null);
  }
}
