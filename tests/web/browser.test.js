// The page in a real browser, over http and https.
'use strict';
const { after, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { Room, launch, missing, sleep, until } = require('./harness.js');

const TOOLS = ['chromium', 'lighttpd', 'nc', 'openssl'];
const numbered = (count, text) => Array.from({ length: count }, (_, i) => `${text} ${i}`);

for (const scheme of ['http', 'https']) {
    describe(scheme, { skip: missing(scheme, ...TOOLS) }, () => {
        let browser;
        before(async () => (browser = await launch()));
        after(() => browser?.close());

        const away = /WebSocket connection to .* failed/;
        // A test with a room of its own. It fails where a tab's console has an error, other than
        // what the browser says when a server is away.
        const in_a_room = (name, options, body) =>
            test(name, { timeout: 180000 }, async (t) => {
                const room = new Room(scheme);
                t.after(() => room.close());
                await room.open(options);
                await body(room, t);
                assert.deepEqual(
                    room.complaints.filter((text) => !options.away || !away.test(text)),
                    [],
                );
            });
        const tabs = (room, count) =>
            Promise.all(Array.from({ length: count }, () => room.tab(browser)));

        in_a_room('two tabs and a terminal chat', {}, async (room) => {
            const [one, two] = await tabs(room, 2);
            const terminal = room.terminal();
            await one.say('from a tab');
            await one.hears('from a tab');
            assert.deepEqual(await one.lines('.own'), ['from a tab']);
            await Promise.all([two.hears('from a tab'), terminal.hears('from a tab\n')]);
            terminal.say('from a terminal\r\n');
            await Promise.all([one, two].map((tab) => tab.hears('from a terminal')));
            await two.say('from the other');
            await Promise.all([
                ...[one, two].map((tab) => tab.hears('from the other')),
                terminal.hears('from the other\n'),
            ]);
            assert.deepEqual(await one.lines(), [
                'from a tab',
                'from a terminal',
                'from the other',
            ]);
            assert.deepEqual(await two.lines(), [
                'from a tab',
                'from a terminal',
                'from the other',
            ]);
            assert.equal(terminal.heard(), 'from a tab\nfrom the other\n');
        });

        in_a_room('it is used by keyboard alone', {}, async (room) => {
            const [one, two] = await tabs(room, 2);
            await one.page.keyboard.type('typed without a click');
            await one.page.keyboard.press('Enter');
            await two.hears('typed without a click');
            await one.page.keyboard.type('and again');
            await one.page.keyboard.press('Tab');
            await one.page.keyboard.press('Space');
            await two.hears('and again');
        });

        in_a_room('UTF-8 passes both ways', {}, async (room) => {
            const tab = await room.tab(browser);
            const terminal = room.terminal();
            const text = 'Grüße, 你好, שלום, 🎉 👩‍👩‍👧';
            await tab.say(text);
            await terminal.hears(`${text}\n`);
            terminal.say(`${text} back\n`);
            await tab.hears(`${text} back`);
        });

        in_a_room(
            'characters and lines are whole where frames are not',
            { server: false },
            async (room) => {
                const server = net.createServer().listen(room.port, '127.0.0.1');
                const [tab, [socket]] = await Promise.all([
                    room.tab(browser),
                    once(server, 'connection'),
                ]);
                socket.setNoDelay(true);
                for (const byte of Buffer.from('ü€🎉\r\nnext\n')) {
                    socket.write(Buffer.of(byte));
                    await sleep(20);
                }
                await tab.hears('next');
                assert.deepEqual(await tab.lines(), ['ü€🎉', 'next']);
                socket.destroy();
                server.close();
                room.complaints.length = 0;
            },
        );

        in_a_room('bytes that are no UTF-8 spoil nothing but themselves', {}, async (room) => {
            const tab = await room.tab(browser);
            const terminal = room.terminal();
            terminal.say(Buffer.from('a\x80b\xc3\nc\xe2\x82\nd\n', 'latin1'));
            await tab.hears('d');
            assert.deepEqual(await tab.lines(), ['a\ufffdb\ufffd', 'c\ufffd', 'd']);
        });

        in_a_room('control characters are shown', {}, async (room) => {
            const tab = await room.tab(browser);
            room.terminal().say('\x1b[31mred\x07 a\tb \0 \x7f \x9b1m c\rd\nend\n');
            await tab.hears('end');
            assert.deepEqual(await tab.lines(), ['^[[31mred^G a\tb ^@ ^? \ufffd1m c^Md', 'end']);
        });

        in_a_room('markup is text', {}, async (room) => {
            const [one, two] = await tabs(room, 2);
            const markup =
                '<img src=x onerror="document.title=1"><b>bold</b>&amp;<script>1</script>';
            await one.say(markup);
            await two.hears(markup);
            for (const { page } of [one, two]) {
                assert.equal(await page.$$eval('#lines p *', (all) => all.length), 0);
                assert.equal(await page.title(), 'Chat room');
            }
        });

        in_a_room('a thousand lines at once come in order', {}, async (room) => {
            const tab = await room.tab(browser);
            room.terminal().say(numbered(1000, 'line').join('\n') + '\n');
            await tab.hears('line 999');
            assert.deepEqual(await tab.lines(), numbered(1000, 'line'));
        });

        in_a_room(
            'the newest 2,000 lines are kept, and the newest is in view',
            {},
            async (room) => {
                const tab = await room.tab(browser);
                room.terminal().say(numbered(5000, 'line').join('\n') + '\n');
                await tab.hears('line 4999');
                assert.deepEqual(await tab.lines(), numbered(5000, 'line').slice(3000));
                const last = tab.page.locator('#lines p').last();
                assert.ok((await last.boundingBox()).y < tab.page.viewportSize().height);
            },
        );

        in_a_room('a line of 100 KB passes both ways', {}, async (room) => {
            const tab = await room.tab(browser);
            const terminal = room.terminal();
            const long = '€'.repeat(34000);
            terminal.say(`${long}\n`);
            await tab.hears(long);
            await tab.say(`${long}!`);
            await terminal.hears(`${long}!\n`);
        });

        in_a_room('a tab that is loaded again is in the room again', {}, async (room) => {
            const tab = await room.tab(browser);
            const terminal = room.terminal();
            await tab.page.reload();
            await tab.is('joined');
            terminal.say('welcome back\n');
            await tab.hears('welcome back');
            await tab.say('thanks');
            await terminal.hears('thanks\n');
        });

        in_a_room('a server that restarts is seen without a reload', { away: true }, async (room) => {
            const tab = await room.tab(browser);
            await room.stop_server();
            await tab.is('lost');
            assert.ok(await tab.page.isDisabled('#send'));
            await until('it tries again', () => room.complaints.some((text) => away.test(text)));
            await room.serve();
            await tab.is('joined');
            room.terminal().say('here again\n');
            await tab.hears('here again');
            assert.deepEqual(await tab.lines(), [
                'Connection lost: lines may be missing here.',
                'here again',
            ]);
        });

        const two_servers = {
            options: ['--bind', '127.0.0.1'],
            settings: `wstunnel.server := ("/room" => (
                "a" => ("host" => "127.0.0.1", "port" => 5555),
                "b" => ("host" => "127.0.0.2", "port" => 5555)))\n`,
        };
        in_a_room('two servers have as many tabs each', two_servers, async (room) => {
            const first = room.server;
            await room.serve('--bind', '127.0.0.2');
            await tabs(room, 4);
            for (const server of [first, room.server]) {
                server.kill('SIGUSR1');
                await until('it counts', () => server.printed.includes('clients='));
                assert.match(server.printed, /clients=2 /);
            }
        });

        in_a_room('a full room says so, and lets in when there is a seat', {}, async (room) => {
            const seated = Array.from({ length: 1020 }, () => net.connect(room.port, '127.0.0.1'));
            await Promise.all(seated.map((socket) => once(socket, 'connect')));
            const tab = await room.tab(browser, { joined: false });
            await tab.is('full');
            assert.match(await tab.page.textContent('#state'), /full/);
            assert.deepEqual(await tab.lines(), []);
            seated.forEach((socket) => socket.destroy());
            await tab.is('joined');
        });

        const limit = ['--max-queue', String(1 << 20)];
        const [crowd, count] = scheme === 'http' ? ['twenty', 20] : ['four', 4];
        in_a_room(
            `one of ${crowd} tabs that is stopped in a flood harms no one`,
            { options: limit },
            async (room) => {
                const [stopped, ...others] = await tabs(room, count);
                // While it is open, the tab is stopped.
                const dialog = stopped.page.waitForEvent('dialog');
                stopped.page.on('dialog', () => {});
                await stopped.page.evaluate(() => void setTimeout(() => alert('Stop!')));
                // In a window with twenty tabs, only one is drawn.
                await Promise.all(
                    others
                        .slice(1)
                        .map(({ page }) =>
                            page.$eval('#scroll', (element) => (element.style.display = 'none')),
                        ),
                );
                const terminal = room.terminal();
                const cut_off = () => room.server.printed.match(/cut off/g)?.length;
                for (let i = 0; !cut_off(); i++) {
                    assert.ok(i < 40, 'the stopped tab is cut off');
                    terminal.say(`${`${'x'.repeat(19999)}\n`.repeat(50)}chunk ${i}\n`);
                    await Promise.all(others.map((tab) => tab.hears(`chunk ${i}`)));
                }
                await (await dialog).accept();
                await stopped.hears('Cut off: lines are missing here.');
                await stopped.is('joined');
                terminal.say('all together\n');
                await Promise.all([stopped, ...others].map((tab) => tab.hears('all together')));
                assert.equal(cut_off(), 1);
                assert.equal((await stopped.lines('.note')).length, 1);
            },
        );

        in_a_room('axe finds nothing to make better', {}, async (room) => {
            const tab = await room.tab(browser);
            room.terminal().say('a line of somebody else\n');
            await tab.say('an own line');
            await tab.hears('a line of somebody else');
            const axe = require('axe-core').source;
            for (const colorScheme of ['light', 'dark']) {
                await tab.page.emulateMedia({ colorScheme });
                const { violations } = await tab.page.evaluate(`${axe}; axe.run()`);
                assert.deepEqual(
                    violations.map(({ id, nodes }) => [id, nodes[0].html]),
                    [],
                );
            }
        });

        in_a_room('a narrow screen shows all of it', {}, async (room) => {
            const tab = await room.tab(browser);
            await tab.page.setViewportSize({ width: 320, height: 480 });
            await tab.say('x'.repeat(500));
            const [wide, high] = await tab.page.evaluate(() => [
                document.documentElement.scrollWidth,
                document.documentElement.scrollHeight,
            ]);
            assert.deepEqual([wide, high], [320, 480]);
            assert.ok(await tab.page.isVisible('#send'));
        });

        in_a_room('the policy holds', {}, async (room) => {
            const { page } = await room.tab(browser);
            const blocked = await page.evaluate(
                () =>
                    new Promise((resolve) => {
                        const blocked = [];
                        document.addEventListener('securitypolicyviolation', (violation) => {
                            if (blocked.push(violation.effectiveDirective) === 3) resolve(blocked);
                        });
                        const script = document.createElement('script');
                        script.textContent = 'document.title = "taken"';
                        document.body.append(script);
                        new Image().src = 'http://localhost:1/';
                        fetch('http://localhost:1/').catch(() => {});
                    }),
            );
            assert.deepEqual(blocked.sort(), ['connect-src', 'img-src', 'script-src-elem']);
            assert.equal(await page.title(), 'Chat room');
            const elsewhere = await browser.newPage({ ignoreHTTPSErrors: true });
            const refused = elsewhere.waitForEvent('console', (message) =>
                message.text().includes('frame-ancestors'),
            );
            await elsewhere.setContent(`<iframe src="${room.url}"></iframe>`);
            await refused;
            room.complaints.length = 0;
        });
    });
}
