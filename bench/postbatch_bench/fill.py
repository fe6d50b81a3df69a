"""What is in the database before a run: recipients and events, committed, in
the shapes that scenarios need. The templates are those of bench/templates.
"""

SENTENCE = ("The build ended on worker obs-arm-7 after 214 s; it had waited "
            "12 s for a free machine. Nothing changed in its dependencies "
            "since the last run. ")
# What a mail of the type "measure" takes without its words, which stand in
# it twice, as text and as HTML.
OVERHEAD = 1500


def words(size):
    """Text that makes a mail of about size octets."""
    length = max(20, (size - OVERHEAD) // 2)
    return (SENTENCE * (length // len(SENTENCE) + 1))[:length]


def payload(who, number, size):
    """A payload as SQL; who and number are SQL, too."""
    return """jsonb_build_object(%s, 'number', %s,
               'project', 'devel:tools', 'package', 'make-' || %s %% 100,
               'state', 'built', 'words', '%s')""" % (who, number, number,
                                                      words(size))


def recipients(count):
    return """
      INSERT INTO postbatch.recipient (id, key, email, name)
        SELECT i, 'user' || i, 'user' || i || '@example.net', 'User ' || i
          FROM generate_series(1, %d) AS i;
      ANALYZE postbatch.recipient;""" % count


def one_to_one(mails, size, people=None):
    """An event for each mail, the recipients in turn."""
    return recipients(people or mails) + """
      INSERT INTO postbatch.event (type, payload)
        SELECT 'measure', %s FROM generate_series(1, %d) AS i;""" % (
        payload("'recipient', 1 + (i - 1) %% %d" % (people or mails), "i",
                size), mails)


def fan_out(events, subscribers, size):
    """Events that each go to all subscribers of a topic."""
    return recipients(subscribers) + """
      INSERT INTO postbatch.subscription (topic, recipient_id)
        SELECT 'all', i FROM generate_series(1, %d) AS i;
      ANALYZE postbatch.subscription;
      INSERT INTO postbatch.event (type, payload)
        SELECT 'measure', %s FROM generate_series(1, %d) AS i;""" % (
        subscribers, payload("'recipient', 1, 'topic', 'all'", "i", size),
        events)


def gathered(people, each, size, type_name="gathered"):
    """Events in bursts: each of them in a row for one recipient, who gets one
    letter about all of them. An event's words are its part of the letter."""
    return recipients(people) + """
      INSERT INTO postbatch.event (type, payload)
        SELECT '%s', %s FROM generate_series(0, %d) AS i;""" % (
        type_name, payload("'recipient', 1 + i / %d" % each, "i",
                           OVERHEAD + size // each), people * each - 1)
