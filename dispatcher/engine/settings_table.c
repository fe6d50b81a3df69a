/*
 * settings_table - all settings, one row each. Reading it is reading the
 * manual; "postbatch help settings" prints it.
 */
#include "engine/settings_table.h"

static const char *const unsure_names[] = {"resend", "hold", NULL};
static const char *const reply_names[] = {"trouble", "all", NULL};
static const char *const view_names[] = {"xml", "json", NULL};
static const char *const level_names[] = {"debug", "info", "warn", "error",
                                          NULL};
static const char *const tls_names[] = {"none", "opportunistic", "starttls",
                                        "implicit", NULL};
static const char *const tls_version_names[] = {"1.2", "1.3", NULL};
static const char *const auth_names[] = {"auto",    "plain",       "login",
                                         "xoauth2", "oauthbearer", NULL};
static const char *const gear_names[] = {"lockstep", "pipelined", "streamed",
                                         "auto", NULL};

#define AT(field) offsetof(struct settings, field)
#define TEXT(section, name, field, preset, help)                               \
    {                                                                          \
        section, name, CONF_TEXT, AT(field), preset, 0, 0, NULL, help          \
    }
#define NUMBER(section, name, field, preset, min, max, help)                   \
    {                                                                          \
        section, name, CONF_INT, AT(field), preset, min, max, NULL, help       \
    }
#define BOOL(section, name, field, preset, help)                               \
    {                                                                          \
        section, name, CONF_BOOL, AT(field), preset, 0, 0, NULL, help          \
    }
#define TIME(section, name, field, preset, min, max, help)                     \
    {                                                                          \
        section, name, CONF_MS, AT(field), preset, min, max, NULL, help        \
    }
#define BYTES(section, name, field, preset, min, max, help)                    \
    {                                                                          \
        section, name, CONF_BYTES, AT(field), preset, min, max, NULL, help     \
    }
#define CHOICE(section, name, field, preset, choices, help)                    \
    {                                                                          \
        section, name, CONF_CHOICE, AT(field), preset, 0, 0, choices, help     \
    }

enum { MIB = 1024 * 1024, SECOND = 1000, MINUTE = 60000, DAY = 86400000 };

const struct conf_item settings_items[] = {
    {"database", "dsn", CONF_SECRET, AT(dsn), "", 0, 0, NULL,
     "Where PostgreSQL is, in libpq's form: \"host=/run/postgresql "
     "dbname=app\" or a URI. Empty: libpq's own variables (PGHOST, ...)."},

    TEXT("templates", "path", templates_path, "",
         "Folder of the event types. Empty: ./templates if it exists, else "
         "the installed ones."),
    TEXT("templates", "roles", roles_path, "",
         "Folder of role files (*.sql) that go over the built-in ones."),

    TEXT("mail", "from_name", from_name, "Postbatch", "Display name of From."),
    TEXT("mail", "from_email", from_email, "",
         "Address of From. Required to send."),
    TEXT("mail", "envelope_from", envelope_from, "",
         "Envelope sender, where bounces go. Empty: mail.from_email."),
    TEXT("mail", "reply_to", reply_to, "",
         "Address that answers go to (Reply-To). Empty: none, so they go to "
         "mail.from_email."),
    TEXT("mail", "domain", domain, "",
         "Right side of Message-ID. Empty: the domain of mail.from_email. "
         "Changing it makes retries of waiting letters look new."),
    TEXT("mail", "list_id", list_id, "",
         "Domain under which each type has its List-Id. Empty: mail.domain."),
    TEXT("mail", "site_name", site_name, "",
         "Name of your site, for templates ({{site.name}})."),
    TEXT("mail", "site_url", site_url, "",
         "Address of your site, for templates ({{site.url}})."),
    TEXT("mail", "settings_url", settings_url, "",
         "Where people change what they get ({{site.settings_url}})."),
    BOOL("mail", "precedence_bulk", precedence_bulk, "yes",
         "Add \"Precedence: bulk\", which old vacation programs look for."),
    BYTES("mail", "letter_max", letter_max, "1m", 4096, 64 * MIB,
          "Most bytes of a rendered text or HTML, each; an event that gives "
          "more is set aside. A letter of which text and HTML together are "
          "larger, once encoded for the way, fails and can be sent again by "
          "\"postbatch resend --failed\"."),

    BOOL("router", "enabled", router_enabled, "yes",
         "Route events in this process. One router works at a time, on "
         "whatever host; the others stand by."),
    NUMBER("router", "step", route_step, "5000", 1, 100000,
           "Most events routed by one statement."),
    NUMBER("router", "ahead", route_ahead, "50000", 500, 10000000,
           "Letters that may wait in batches before routing pauses; the "
           "rest of a backlog stays in the event log, where it costs "
           "nothing."),
    NUMBER("router", "fanout_threshold", fanout_threshold, "20000", 500,
           10000000,
           "An event with more recipients is routed in steps of its own, as "
           "bulk mail."),
    TIME("router", "poll_min", poll_min_ms, "20ms", 1, MINUTE,
         "Shortest time between two looks for new events."),
    TIME("router", "poll_max", poll_max_ms, "250ms", 10, MINUTE,
         "Longest time between two looks, reached after about a minute "
         "without events."),

    NUMBER("digest", "hour", digest_hour, "8", 0, 23,
           "Hour of the day at which daily and weekly digests are due, where "
           "the recipient is."),
    NUMBER("digest", "weekday", digest_weekday, "1", 1, 7,
           "Day of weekly digests: 1 Monday ... 7 Sunday."),
    TEXT("digest", "time_zone", digest_time_zone, "UTC",
         "Of recipients who have none, by a name that PostgreSQL knows "
         "(\"Europe/Berlin\")."),

    NUMBER("worker", "processes", processes, "1", 1, 64,
           "Worker processes under one parent; each uses one core."),
    TIME("worker", "lease", lease_ms, "60s", 5 * SECOND, DAY,
         "How long a worker owns a batch without renewing; after that "
         "another takes it over."),
    NUMBER("worker", "lease_batches", lease_batches, "4", 1, 32,
           "Most batches (of up to 500 letters) leased by one statement."),
    NUMBER("worker", "letters_ahead", letters_ahead, "2000", 500, 20000,
           "Leased letters that may wait for a lane; bounds the memory."),
    BYTES("worker", "payload_max", payload_max, "1m", 1024, 16 * MIB,
          "Largest payload of one event, as text; a larger one is set "
          "aside."),
    TEXT("worker", "journal", journal_path, "",
         "Folder of the journal that tells a restarted worker what was in "
         "flight when it was killed. Empty: $STATE_DIRECTORY of systemd, "
         "else /var/lib/postbatch, else none (with a warning)."),
    TIME("worker", "grace", grace_ms, "30s", 0, DAY,
         "After SIGTERM: time to finish what is in flight."),
    TIME("worker", "stats", stats_ms, "60s", 0, DAY,
         "Time between two log lines of figures; 0 for none."),

    TEXT("intake", "obs_url", intake_obs_url, "",
         "Source server of an Open Build Service whose notifications become "
         "events: http://backend:5352. Empty: none. One process at a time "
         "fetches, on whatever host."),
    TEXT("intake", "source", intake_source, "obs",
         "Name of the cursor that says how far it has been read "
         "(postbatch.intake)."),
    TEXT("intake", "ca_file", intake_ca_file, "",
         "PEM file of the authorities to trust for https. Empty: the "
         "system's."),
    CHOICE("intake", "view", intake_view, "xml", view_names,
           "Form of the answers."),
    BOOL("intake", "block", intake_block, "no",
         "Let the server hold the request until there is something new "
         "(block=1), in place of asking every so often."),
    NUMBER("intake", "start", intake_start, "0", 0, 0,
           "Where to begin with a source that was never read: the number of "
           "a notification, or 0 for behind the newest, so that nothing old "
           "is mailed. Later the cursor counts."),
    TIME("intake", "every", intake_every_ms, "17s", 1, DAY,
         "Time between two requests."),
    TIME("intake", "timeout", intake_timeout_ms, "30s", 10, DAY,
         "Time for an answer."),
    TIME("intake", "block_timeout", intake_block_timeout_ms, "1000s", 10, DAY,
         "How long a held request is waited for; then it is asked anew."),
    BYTES("intake", "answer_max", intake_answer_max, "32m", 4096, 512 * MIB,
          "Longest answer; a longer one is an error."),

    TIME("retry", "first", retry_first_ms, "5m", 1, DAY,
         "Wait after the first temporary refusal; doubled each time."),
    TIME("retry", "max", retry_max_ms, "4h", 1, DAY, "Longest wait."),
    NUMBER("retry", "attempts", retry_attempts, "0", 0, 1000,
           "Tries in all; 0 for as many as fit into retry.give_up."),
    TIME("retry", "give_up", give_up_ms, "2d", 1, 0,
         "Age at which a letter that was refused for now is failed."),
    CHOICE("retry", "unsure", unsure, "resend", unsure_names,
           "A letter whose content was given and whose reply was not seen "
           "(RFC 1047): send it again with the same Message-ID, at once and "
           "then ever later within retry.attempts and retry.give_up, or hold "
           "it for a person."),

    CHOICE("ledger", "replies", ledger_replies, "trouble", reply_names,
           "Keep the relay's words only of letters that were not sent, or "
           "of all (about 40 more bytes of WAL a letter)."),

    CHOICE("log", "level", log_level, "info", level_names,
           "Lines below it are not written."),

    TEXT("report", "environment", report_environment, "production",
         "What this installation is called in reports."),
    TEXT("report", "errbit_url", errbit_url, "",
         "Errbit, or another that takes Airbrake v3 notices: "
         "https://errbit.example.org. Empty: none."),
    TEXT("report", "errbit_project_id", errbit_project_id, "1",
         "Project number in the notices' path."),
    {"report", "errbit_api_key", CONF_SECRET, AT(errbit_api_key), "", 0, 0,
     NULL, "API key of the app; better in a file."},
    TEXT("report", "errbit_api_key_file", errbit_api_key_file, "",
         "File whose first line is the API key."),
    TEXT("report", "errbit_ca_file", errbit_ca_file, "",
         "PEM file of the authorities to trust. Empty: the system's."),
    TIME("report", "errbit_timeout", errbit_timeout_ms, "15s", 100, DAY,
         "Time for Errbit to answer. Nothing waits for it."),
    TEXT("report", "command", report_command, "",
         "Command to run for each report, with its arguments; no shell. It "
         "gets JSON on standard input and ALARM_... variables."),
    TIME("report", "command_timeout", report_command_timeout_ms, "10s", 100,
         DAY, "Time for the command; then it is killed."),
    TIME("report", "period", report_period_ms, "10s", 100, 30 * SECOND,
         "Time between two looks for something to report."),
    NUMBER("report", "per_minute", report_per_minute, "20", 1, 1000,
           "Reports a minute to each place, of all workers on all hosts "
           "together; the rest is summed up in one."),
    TIME("report", "quiet", report_quiet_ms, "1d", SECOND, 0,
         "A cause is reported once; again when it was silent for so long "
         "and comes back."),
    TIME("report", "settle", report_settle_ms, "5m", 0, DAY,
         "A relay that works again, a backlog that is gone: reported when it "
         "has stayed so for so long."),
    TIME("report", "repeat", report_repeat_ms, "0s", 0, 0,
         "Report again what goes on, so often; 0 for never."),
    TIME("report", "waiting", report_waiting_ms, "15m", 0, 0,
         "An event or letter that waits longer is reported; 0: none is."),
    TIME("report", "retry", report_retry_ms, "30s", 100, DAY,
         "Wait after a report that failed; doubled each time, up to ten "
         "minutes."),
};

const size_t settings_item_count =
    sizeof(settings_items) / sizeof(settings_items[0]);

#undef AT
#define AT(field) offsetof(struct relay_config, field)

static const struct conf_item relay_items[] = {
    TEXT("relay", "host", host, "localhost",
         "Name or address; also the name expected in its certificate."),
    NUMBER("relay", "port", port, "0", 0, 65535,
           "0: 465 with implicit TLS, 587 with a user, else 25."),
    TEXT("relay", "unix_path", unix_path, "",
         "Path of a socket, in place of host and port."),
    CHOICE("relay", "tls", tls, "starttls", tls_names,
           "\"none\" is for a relay on this host."),
    BOOL("relay", "verify", verify, "yes",
         "Check the certificate and its name. Off only for tests."),
    TEXT("relay", "ca_file", ca_file, "",
         "PEM file of the authorities to trust. Empty: the system's."),
    TEXT("relay", "cert_file", cert_file, "", "Client certificate, PEM."),
    TEXT("relay", "key_file", key_file, "", "Its key, PEM."),
    CHOICE("relay", "min_tls", min_tls, "1.2", tls_version_names,
           "Oldest TLS version spoken."),
    TEXT("relay", "user", user, "", "User for AUTH. Empty: no AUTH."),
    {"relay", "password", CONF_SECRET, AT(password), "", 0, 0, NULL,
     "Password; better in a file."},
    TEXT("relay", "password_file", password_file, "",
         "File whose first line is the password."),
    {"relay", "token", CONF_SECRET, AT(token), "", 0, 0, NULL,
     "OAuth token; better in a file."},
    TEXT("relay", "token_file", token_file, "",
         "File whose first line is the OAuth token."),
    CHOICE("relay", "auth", auth, "auto", auth_names, "Mechanism of AUTH."),
    BOOL("relay", "allow_plain_auth", allow_plain_auth, "no",
         "Allow credentials without TLS to a distant host."),
    TEXT("relay", "helo", helo, "", "Our name in EHLO. Empty: the host's."),
    TEXT("relay", "source_address", source_address, "",
         "Address to connect from."),
    NUMBER("relay", "priority", priority, "10", -1000, 1000,
           "Of the relays that are up, those with the highest are used."),
    NUMBER("relay", "weight", weight, "1", 1, 1000,
           "Share among relays of the same priority, while each keeps up."),
    NUMBER("relay", "lanes_min", lanes_min, "0", 0, 1000,
           "Connections kept open without letters."),
    NUMBER(
        "relay", "lanes", lanes_max, "4", 1, 1000,
        "Most connections at once, of all workers on all hosts together; each "
        "host with a live worker gets its part, at least one."),
    NUMBER("relay", "messages_per_connection", messages_per_connection, "0", 0,
           0, "Letters on one connection; 0 for no limit."),
    TIME("relay", "connection_age", connection_age_ms, "0s", 0, 0,
         "Oldest age of a connection; 0 for no limit."),
    TIME("relay", "idle", idle_ms, "8s", 100, DAY,
         "Close a connection after so long without letters."),
    CHOICE("relay", "gear", gear, "auto", gear_names,
           "How to speak: the best that the relay allows, or less."),
    NUMBER("relay", "window", window_max, "64", 1, 1000,
           "Letters in flight on one streamed connection: those are what a "
           "lost connection leaves unsure."),
    NUMBER("relay", "rate_per_s", rate_per_s, "0", 0, 0,
           "Letters a second, of all workers on all hosts together; 0 for no "
           "limit."),
    NUMBER("relay", "rate_per_min", rate_per_min, "0", 0, 0,
           "Letters a minute, likewise."),
    NUMBER("relay", "connect_rate_per_s", connect_rate_per_s, "0", 0, 0,
           "Connections opened a second, likewise."),
    TIME("relay", "rest", rest_ms, "1s", 10, DAY,
         "First rest of a relay that is not there; grows with the square."),
    TIME("relay", "rest_max", rest_max_ms, "5m", 10, DAY, "Longest rest."),
    TIME("relay", "pause", pause_ms, "5m", 10, DAY,
         "Rest of a relay that refuses us (AUTH, policy)."),
    TIME("relay", "connect_timeout", connect_timeout_ms, "30s", 10, DAY,
         "Time for name and connection."),
    TIME("relay", "command_timeout", command_timeout_ms, "5m", 10, DAY,
         "Time for the reply to a command (RFC 5321 4.5.3.2)."),
    TIME("relay", "data_timeout", data_timeout_ms, "2m", 10, DAY,
         "Time from DATA to its 354."),
    TIME("relay", "block_timeout", block_timeout_ms, "3m", 10, DAY,
         "Time for the relay to take some bytes."),
    TIME("relay", "dot_timeout", dot_timeout_ms, "10m", 10, DAY,
         "Time for the reply to the content. A shorter one makes twins."),
    TIME("relay", "quit_timeout", quit_timeout_ms, "2s", 10, DAY,
         "Time for the reply to QUIT."),
};

const struct conf_group settings_relay_group = {
    .section = "relay",
    .items = relay_items,
    .item_count = sizeof(relay_items) / sizeof(relay_items[0]),
    .size = sizeof(struct relay_config),
    .title_offset = offsetof(struct relay_config, name),
};
