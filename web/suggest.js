// Suggestions under a query box while somebody types. The server knows the names and the grammar; here is only a list box and its keys:
// arrows choose, Enter or Tab takes what is chosen, Escape closes, Ctrl+Space asks.
const WAIT_MS = 120;

const make = (name, attributes, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

/** Once for each box; a page that made itself anew has another one. */
export function suggestIn(box) {
  if (box.getAttribute('aria-autocomplete')) return;
  const list = make('ul', { id: 'suggestions', role: 'listbox', 'aria-label': 'Suggestions', class: 'suggestions', hidden: '' });
  box.closest('label').after(make('div', { class: 'under' }, list));
  box.setAttribute('aria-autocomplete', 'list');
  box.setAttribute('aria-controls', list.id);
  let timer = 0;
  let asked = null;
  let rows = [];
  let chosen = -1;
  const close = () => {
    clearTimeout(timer);
    asked?.abort();
    rows = [];
    list.hidden = true;
    list.replaceChildren();
    choose(-1);
  };
  const choose = (at) => {
    chosen = at;
    [...list.children].forEach((row, n) => row.setAttribute('aria-selected', String(n === at)));
    if (at < 0) return void box.removeAttribute('aria-activedescendant');
    box.setAttribute('aria-activedescendant', list.children[at].id);
    list.children[at].scrollIntoView({ block: 'nearest' });
  };
  const take = (at) => {
    const { keep, insert } = rows[at];
    const before = box.value.slice(0, keep) + insert;
    box.value = before + box.value.slice(box.selectionEnd);
    box.setSelectionRange(before.length, before.length);
    box.focus();
    close();
    ask();
  };
  const show = ({ keep, rows: found }) => {
    rows = found.map(({ insert }) => ({ keep, insert }));
    list.replaceChildren(...found.map(({ text, kind, note }, at) => {
      const row = make('li', { id: `suggestion-${at}`, role: 'option', 'aria-selected': 'false' }, make('code', {}, text));
      if (kind || note) row.append(make('span', { class: 'muted' }, [kind, note].filter(Boolean).join(' · ')));
      // Before the box loses its focus.
      row.addEventListener('pointerdown', (event) => {
        event.preventDefault();
        take(at);
      });
      return row;
    }));
    list.hidden = !rows.length;
    choose(-1);
  };
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const at = box.selectionStart;
    const form = new FormData(box.form);
    const url = new URL('/explore/suggest', location.href);
    const parts = { before: box.value.slice(0, at), after: box.value.slice(at), from: form.get('from'), to: form.get('to') };
    for (const [name, value] of Object.entries(parts)) if (value) url.searchParams.set(name, value);
    try {
      const answer = await fetch(url, { signal: asked.signal });
      if (!answer.ok) return close();
      const found = await answer.json();
      if (document.activeElement === box && box.selectionStart === at) show(found);
    } catch { /* Another letter asks again. */ }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  };
  box.addEventListener('input', soon);
  box.addEventListener('blur', close);
  box.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && rows.length) choose(chosen < 0 ? (by > 0 ? 0 : rows.length - 1) : (chosen + by + rows.length) % rows.length);
    else if ((event.key === 'Enter' || event.key === 'Tab') && chosen >= 0) take(chosen);
    else if (event.key === 'Escape' && rows.length) close();
    else if (event.key === ' ' && event.ctrlKey) ask();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}
