'use strict';
// The whole job with nodemailer's pooled transport: 500 events at a time, all
// handed to the pool at once, then noted by one statement.
//
//     node peer.js HOST PORT MAILS TEMPLATES

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const mustache = require('mustache');
const nodemailer = require('nodemailer');
const { Client } = require('pg');

const BATCH = 500;
const [host, port, mails, templates] = process.argv.slice(2);
const template = (name) =>
  fs.readFileSync(path.join(templates, name + '.mustache'), 'utf8');
const SUBJECT = template('subject');
const TEXT = template('text');
const HTML = template('html');
const asItIs = { escape: (text) => text };

function compose(row) {
  const view = {
    ...row.payload,
    recipient: { greeting: row.name },
    role: 'recipient',
  };
  return {
    from: 'Build Service <notify@example.org>',
    to: { name: row.name, address: row.email },
    messageId: `<${row.id}.nodemailer@example.org>`,
    subject: mustache.render(SUBJECT, view, {}, asItIs).trim(),
    text: mustache.render(TEXT, view, {}, asItIs),
    html: mustache.render(HTML, view),
  };
}

async function work(client, transport) {
  let last = 0;
  for (let sent = 0; sent < Number(mails); ) {
    const { rows } = await client.query({
      name: 'next',
      text: `SELECT e.id, e.payload, r.email, r.name
               FROM postbatch.event AS e
               JOIN postbatch.recipient AS r
                 ON r.id = (e.payload ->> 'recipient')::bigint
              WHERE e.id > $1
              ORDER BY e.id LIMIT $2`,
      values: [last, Math.min(BATCH, Number(mails) - sent)],
    });
    if (rows.length === 0) {
      throw new Error('no more events');
    }
    await Promise.all(rows.map((row) => transport.sendMail(compose(row))));
    await client.query({
      name: 'note',
      text: 'INSERT INTO peer.done (event_id) SELECT unnest($1::bigint[])',
      values: [rows.map((row) => row.id)],
    });
    sent += rows.length;
    last = rows[rows.length - 1].id;
  }
}

async function main() {
  const client = new Client(); // PGHOST and the like
  await client.connect();
  const transport = nodemailer.createTransport({
    host,
    port: Number(port),
    pool: true,
    maxConnections: 5,
    maxMessages: Infinity,
    ignoreTLS: true,
  });
  const lines = readline.createInterface({ input: process.stdin });
  console.log('ready');
  await new Promise((go) => lines.once('line', go));
  await work(client, transport);
  console.log('done');
  transport.close();
  lines.close();
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
