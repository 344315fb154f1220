// A file of its own, for files run at the same time.
'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Room, launch, missing, sleep } = require('./harness.js');

const skip = missing('https', 'chromium', 'lighttpd', 'nc', 'openssl');
test('a tab stays that is idle for 70 s, over http and https', { skip }, async (t) => {
    const browser = await launch();
    t.after(() => browser.close());
    const stays = async (scheme) => {
        const room = new Room(scheme);
        t.after(() => room.close());
        await room.open();
        const tab = await room.tab(browser);
        await sleep(70000);
        room.terminal().say('still here?\n');
        await tab.hears('still here?');
        assert.deepEqual(await tab.lines(), ['still here?']); // no note of a lost connection
        assert.deepEqual(room.complaints, []);
    };
    await Promise.all(['http', 'https'].map(stays));
});
