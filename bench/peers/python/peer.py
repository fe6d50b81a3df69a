"""The whole job with smtplib, over one connection that is kept: 500 events at
a time, noted by one statement.

    peer.py HOST PORT MAILS TEMPLATES
"""

import email.message
import email.utils
import os
import smtplib
import sys

import psycopg2
import pystache

BATCH = 500


class Composer:
    def __init__(self, folder):
        self.parsed = {}
        for name in ("subject", "text", "html"):
            with open(os.path.join(folder, name + ".mustache")) as f:
                self.parsed[name] = pystache.parse(f.read())
        self.plain = pystache.Renderer(escape=lambda text: text)
        self.escaped = pystache.Renderer()

    def compose(self, number, payload, address, name):
        view = dict(payload, recipient={"greeting": name}, role="recipient")
        mail = email.message.EmailMessage()
        mail["From"] = "Build Service <notify@example.org>"
        mail["To"] = "%s <%s>" % (name, address)
        mail["Date"] = email.utils.formatdate()
        mail["Message-ID"] = "<%d.python@example.org>" % number
        mail["Subject"] = self.plain.render(self.parsed["subject"],
                                            view).strip()
        mail.set_content(self.plain.render(self.parsed["text"], view))
        mail.add_alternative(self.escaped.render(self.parsed["html"], view),
                             subtype="html")
        return mail


def work(database, relay, composer, mails):
    cursor = database.cursor()
    last = sent = 0
    while sent < mails:
        cursor.execute("""
            SELECT e.id, e.payload, r.email, r.name
              FROM postbatch.event AS e
              JOIN postbatch.recipient AS r
                ON r.id = (e.payload ->> 'recipient')::bigint
             WHERE e.id > %s
             ORDER BY e.id LIMIT %s""", (last, min(BATCH, mails - sent)))
        rows = cursor.fetchall()
        if not rows:
            raise SystemExit("no more events")
        for row in rows:
            relay.send_message(composer.compose(*row))
        last = rows[-1][0]
        cursor.execute("INSERT INTO peer.done (event_id)"
                       " SELECT unnest(%s::bigint[])",
                       ([row[0] for row in rows],))
        database.commit()
        sent += len(rows)


def main():
    host, port, mails, folder = sys.argv[1:]
    database = psycopg2.connect("")  # PGHOST and the like
    composer = Composer(folder)
    relay = smtplib.SMTP(host, int(port))
    relay.ehlo()
    print("ready", flush=True)
    sys.stdin.readline()
    work(database, relay, composer, int(mails))
    print("done", flush=True)
    relay.quit()


if __name__ == "__main__":
    main()
