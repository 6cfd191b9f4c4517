// The live tail as a browser has it: what it does when there is nothing to follow, and when the server does not answer.

/** `check` notes what does not hold. */
export async function livesOn(browser, base, check) {
  const still = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await still.goto(`${base}/logs`);
  check(!(await still.locator('#live').isVisible()), 'without JavaScript no button is shown that would do nothing');
  await still.context().close();

  const page = await (await browser.newContext()).newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${base}/logs?q=(`);
  check(!(await page.locator('#live').isVisible()), 'a search that cannot be read has no live tail');

  await page.goto(`${base}/logs?q=nothing-has-this-word-in-it`);
  const place = await page.locator('.logs').getAttribute('data-place', { timeout: 5_000 }).catch(() => null);
  check(Boolean(place), 'a list without rows has a place to go on from');
  let asked = 0;
  await page.route('**/logs/tail*', (route) => {
    asked += 1;
    // As a server that starts, or a proxy in front of one that is gone.
    return asked === 1 ? route.fulfill({ status: 503, body: '' }) : route.continue();
  });
  const second = page.waitForRequest((request) => request.url().includes('/logs/tail') && asked === 1, { timeout: 10_000 });
  await page.locator('#live').click({ timeout: 5_000 }).catch(() => {});
  const words = () => page.locator('#say').innerText({ timeout: 5_000 }).catch(() => '');
  const came = await second.then((request) => request.url(), () => '');
  check(came.includes(`cursor=${place}`), 'a live tail that gets no stream is asked for again, from where the page ends', came);
  await page.waitForFunction(() => document.querySelector('#say')?.textContent === 'Live: waiting for records.', null, { timeout: 10_000 }).catch(() => {});
  check((await words()) === 'Live: waiting for records.', 'a live tail that came back says so', await words());
  check(complaints.length === 0, 'the script of the live tail has no error', complaints.join('; '));
  await page.context().close();

  const chart = await (await browser.newContext({ viewport: { width: 1366, height: 900 } })).newPage();
  const end = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 60_000);
  const from = new Date(end - 10_000).toISOString().replace('.000', '');
  await chart.goto(`${base}/explore?q=vector(1)&from=${from}&to=${end.toISOString().replace('.000', '')}`);
  const box = await chart.locator('svg.pl').boundingBox();
  await chart.mouse.move(box.x + box.width * 0.52, box.y + 50);
  await chart.mouse.down();
  await chart.mouse.move(box.x + box.width * 0.56, box.y + 60, { steps: 5 });
  await Promise.all([chart.waitForURL((url) => url.searchParams.get('from') !== from), chart.mouse.up()]);
  const window = ['from', 'to'].map((name) => Date.parse(new URL(chart.url()).searchParams.get(name)));
  check(window[1] - window[0] === 1_000, 'dragging over less than a second shows the second around it', chart.url());
  await chart.context().close();
}
