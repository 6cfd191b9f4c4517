// What the logs pages can do beyond links and forms: live tail, keys, copying. Without it everything else works.
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const list = $('.logs');
const say = (text) => {
  const note = $('#say');
  if (note) note.textContent = text;
};

// Live tail: the newest record on top, 500 rows at most, closed while nobody looks.
const ROWS_MAX = 500;
const live = $('#live');
let source = null;
let place = '';
let skipped = 0;
function stop(text) {
  source?.close();
  source = null;
  say(text);
}
function follow() {
  const url = new URL('/logs/tail', location.href);
  const here = new URL(location.href);
  for (const name of ['q', 'cols']) if (here.searchParams.get(name)) url.searchParams.set(name, here.searchParams.get(name));
  if (place) url.searchParams.set('cursor', place);
  source = new EventSource(url);
  source.addEventListener('ready', (event) => {
    place = event.lastEventId;
    say('Live: waiting for records.');
  });
  source.addEventListener('skipped', (event) => {
    skipped += JSON.parse(event.data).skipped;
  });
  source.addEventListener('fault', (event) => {
    live.setAttribute('aria-pressed', 'false');
    stop(JSON.parse(event.data).error);
  });
  source.onmessage = (event) => {
    place = event.lastEventId || place;
    const held = document.createElement('template');
    held.innerHTML = event.data;
    const row = held.content.firstElementChild;
    if (!row) return;
    // Whoever reads further down keeps the place: the browser's scroll anchoring does it.
    list.prepend(row);
    while (list.children.length > ROWS_MAX) list.lastElementChild.remove();
    say(`Live${skipped ? `, ${skipped} skipped` : ''}. Last record ${row.querySelector('time').textContent}.`);
  };
  source.onerror = () => say('Live: connection lost, trying again.');
}
if (live && list) {
  live.hidden = false;
  live.addEventListener('click', () => {
    const on = live.getAttribute('aria-pressed') !== 'true';
    live.setAttribute('aria-pressed', String(on));
    if (on) follow();
    else stop('Live tail stopped.');
  });
  document.addEventListener('visibilitychange', () => {
    if (live.getAttribute('aria-pressed') !== 'true') return;
    if (document.hidden) stop('Live tail paused.');
    else if (!source) follow();
  });
}

// Copying: buttons come when a record is opened.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say('Copied.');
  } catch {
    say('The browser does not let this page copy.');
  }
}
function button(name, act) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = name;
  made.addEventListener('click', act);
  return made;
}
list?.addEventListener('toggle', (event) => {
  const row = event.target;
  const acts = row.open && $('.acts', row);
  if (!acts || $('button', acts)) return;
  const around = new URL($('.ctx', acts).href);
  acts.append(
    button('copy line', () => copy($('.rec pre', row)?.textContent ?? $('.body', row).lastChild.textContent)),
    button('copy JSON', async () => {
      const cursor = encodeURIComponent(around.searchParams.get('cursor'));
      const answer = await fetch(`/api/v1/logs/context?before=0&after=0&cursor=${cursor}`);
      if (answer.ok) copy((await answer.text()).trim());
      else say('The record is not here any more.');
    }),
    button('copy link', () => copy(around.href)),
  );
}, true);

// Keys, never while something is typed.
const keys = {
  '/': () => $('input[name=q]')?.focus(),
  t: () => $('input[name=from]')?.focus(),
  r: () => location.reload(),
  '[': () => $('[aria-label=earlier]')?.click(),
  ']': () => $('[aria-label=later]')?.click(),
  '-': () => $('[aria-label="zoom out"]')?.click(),
  j: () => step(1),
  k: () => step(-1),
  e: () => step(1, '.v-error, .v-fatal'),
  E: () => step(-1, '.v-error, .v-fatal'),
  c: () => $('.ctx', current() ?? document)?.click(),
  w: () => list?.classList.toggle('nowrap'),
  y: () => copy(new URL($('#s')?.dataset.frozen || location.href, location.href).href),
  l: () => live?.click(),
  '?': () => $('#keys')?.showModal(),
};
const pages = { o: '/', m: '/explore', l: '/logs', a: '/alerts', d: '/notifications' };
const current = () => document.activeElement?.closest?.('.logs > details');
function step(by, only) {
  const rows = $$('.logs > details');
  let at = rows.indexOf(current());
  do at = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
  while (only && rows[at] && !rows[at].matches(only));
  rows[at]?.querySelector('summary').focus();
}
let going = false;
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select, dialog')) return;
  if (going) {
    going = false;
    if (pages[event.key]) location.href = pages[event.key];
    return;
  }
  if (event.key === 'g') going = true;
  else if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
