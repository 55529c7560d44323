// Signal's own network code asks for the chat service and for contact discovery, as the apps built on it do. Runs on a host of the lab.
//
//   node signal_net.mjs FOLDER     FOLDER holds node_modules
//
// Nobody it trusts answers, so both must fail; success is a failure here. The account is made up.
import { pathToFileURL } from 'node:url';

const folder = process.argv[2];
const { Net, Environment } = await import(pathToFileURL(`${folder}/node_modules/@signalapp/libsignal-client/dist/net.js`));
const net = new Net({ env: Environment.Production, userAgent: 'metaleak-lab' });
const listener = { onConnectionInterrupted() {}, onReceivedAlerts() {} };
const account = { username: '00000000-0000-4000-8000-000000000000.1', password: 'not-an-account' };
const asked = {
  chat: () => net.connectUnauthenticatedChat(listener),
  discovery: () => net.cdsiLookup(account, { e164s: ['+12025550143'], acisAndAccessKeys: [] }),
};
let failed = false;
for (const [name, ask] of Object.entries(asked)) {
  const limit = new Promise((_, reject) => setTimeout(() => reject(new Error('no answer in 15 s')), 15000));
  try {
    await Promise.race([ask(), limit]);
    console.log(`${name}: took the foreign certificate`);
    failed = true;
  } catch (error) {
    console.log(`${name}: refused: ${error}`);
  }
}
process.exit(failed ? 1 : 0);
