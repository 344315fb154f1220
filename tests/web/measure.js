// What a tab costs lighttpd and the server, and how long a line takes from nc into the page:
//     make web-measure
'use strict';
const fs = require('node:fs');
const { Room, launch, sleep, until } = require('./harness.js');

const TABS = 200,
    LINES = 500;
const resident = ({ pid }) =>
    Number(fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]);

async function memory(room, page) {
    const before = [room.lighttpd, room.server].map(resident);
    await page.evaluate(
        (count) =>
            Promise.all(
                Array.from(
                    { length: count },
                    () =>
                        new Promise((resolve, reject) => {
                            const socket = new WebSocket(
                                new URL('/room', location).href.replace('http', 'ws'),
                                'binary',
                            );
                            Object.assign(socket, { onopen: resolve, onerror: reject });
                        }),
                ),
            ),
        TABS,
    );
    await sleep(1000);
    const after = [room.lighttpd, room.server].map(resident);
    return after.map((kib, i) => ((kib - before[i]) / TABS).toFixed(1));
}

async function latency(room, { page }) {
    const now = () => performance.timeOrigin + performance.now();
    const said = [];
    await page.evaluate(() => {
        window.drawn = [];
        new MutationObserver((changes) =>
            changes.forEach(({ addedNodes }) =>
                addedNodes.forEach(() =>
                    window.drawn.push(performance.timeOrigin + performance.now()),
                ),
            ),
        ).observe(document.getElementById('lines'), { childList: true });
    });
    const terminal = room.terminal();
    terminal.say('first\n');
    await until('the first line is drawn', () => page.evaluate(() => window.drawn.pop()));
    for (let i = 0; i < LINES; i++) {
        await sleep(110 + 10 * Math.random());
        said.push(now());
        terminal.say(`line ${i}\n`);
    }
    const drawn = await until('all are drawn', async () => {
        const drawn = await page.evaluate(() => window.drawn);
        return drawn.length === LINES && drawn;
    });
    const taken = drawn.map((at, i) => at - said[i]).sort((a, b) => a - b);
    return [0.5, 0.99].map((part) => taken[Math.floor(part * LINES)].toFixed(1));
}

(async () => {
    const browser = await launch();
    for (const scheme of ['http', 'https']) {
        const room = new Room(scheme);
        await room.open();
        const tab = await room.tab(browser);
        const [p50, p99] = await latency(room, tab);
        const [lighttpd, server] = await memory(room, tab.page);
        console.log(
            `${scheme}: KiB a tab: lighttpd ${lighttpd}, server ${server}; ` +
                `from nc into the page: median ${p50} ms, 99th percentile ${p99} ms`,
        );
        await room.close();
    }
    await browser.close();
})();
