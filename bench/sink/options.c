/*
 * options - the command line of the sink.
 *
 * One table says everything: name, kind, target, help. What is not a plain
 * value has a function.
 */
#include "bench/sink/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char * */
    OPTION_MS,     /* int64_t microseconds, written in ms, may be broken */
    OPTION_COUNT,  /* uint64_t */
    OPTION_DO,     /* by a function */
    OPTION_HEADING /* a line of the help */
};

struct parse {
    struct options *o;
    int argc;
    char **argv;
};

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
    bool (*run)(struct parse *p, const char *value);
    const char *value; /* as the help names it; NULL = takes none */
    const char *help;
};

static bool complain(const char *topic, const char *what, const char *why)
{
    fprintf(stderr, "postbatch-sink: %s: %s%s%s\n", topic, what,
            why ? ": " : "", why ? why : "");
    return false;
}

static bool add_listen(struct parse *p, const char *value, bool tls)
{
    if (p->o->listen_count == OPTIONS_LISTENS) {
        return complain("too many addresses", value, NULL);
    }
    if (strncmp(value, "unix:", 5) == 0) {
        value += 5;
    }
    if (strchr(value, '/') == NULL && strrchr(value, ':') == NULL) {
        return complain("--listen", value, "neither HOST:PORT nor a path");
    }
    p->o->listens[p->o->listen_count++] = (struct listen_spec){value, tls};
    return true;
}

static bool do_listen(struct parse *p, const char *value)
{
    return add_listen(p, value, false);
}

static bool do_listen_tls(struct parse *p, const char *value)
{
    return add_listen(p, value, true);
}

static bool do_ehlo_line(struct parse *p, const char *value)
{
    if (p->o->line_count == OPTIONS_LINES) {
        return complain("too many --ehlo-line", value, NULL);
    }
    p->o->lines[p->o->line_count++] = value;
    return true;
}

static bool do_limits(struct parse *p, const char *value)
{
    const char *mail = strcasestr(value, "MAILMAX=");
    const char *rcpt = strcasestr(value, "RCPTMAX=");

    p->o->limits = value;
    p->o->mail_max = mail ? strtoull(mail + 8, NULL, 10) : 0;
    p->o->rcpt_max = rcpt ? strtoull(rcpt + 8, NULL, 10) : 0;
    return true;
}

/* The certificate is the option's value; the key is the next argument. */
static bool take_pair(struct parse *p, const char *value)
{
    if (optind >= p->argc) {
        return complain("no KEY behind CERT", value, NULL);
    }
    p->o->cert = value;
    p->o->key = p->argv[optind++];
    return true;
}

static bool do_starttls(struct parse *p, const char *value)
{
    p->o->starttls = true;
    return take_pair(p, value);
}

static bool do_cert(struct parse *p, const char *value)
{
    return take_pair(p, value);
}

static bool do_auth(struct parse *p, const char *value)
{
    const char *colon = strchr(value, ':');

    if (colon == NULL || colon == value) {
        return complain("--auth", value, "not USER:PASS");
    }
    p->o->user = value;
    p->o->password = colon + 1;
    return true;
}

static bool do_fault(struct parse *p, const char *value)
{
    const char *why = NULL;

    return faults_add(&p->o->faults, value, &why) ||
           complain("--fault", value, why);
}

static bool do_help(struct parse *p, const char *value)
{
    (void)p;
    (void)value;
    return true;
}

#define AT(field) offsetof(struct options, field), NULL

static const struct option_row rows[] = {
    {"Where", OPTION_HEADING, 0, NULL, NULL, NULL},
    {"listen", OPTION_DO, 0, do_listen, "ADDRESS",
     "HOST:PORT (port 0 = any free one) or a socket path; repeatable.\n"
     "Each is printed as one line, \"listening ADDRESS\""},
    {"listen-tls", OPTION_DO, 0, do_listen_tls, "ADDRESS",
     "the same with TLS from the first byte (\"listening-tls ADDRESS\")"},
    {"port-file", OPTION_TEXT, AT(port_file), "FILE",
     "write the ports there, one a line, when all are open"},
    {"name", OPTION_TEXT, AT(name), "NAME", "host name in replies"},

    {"Extensions", OPTION_HEADING, 0, NULL, NULL, NULL},
    {"no-pipelining", OPTION_FLAG, AT(no_pipelining), NULL, "hide PIPELINING"},
    {"no-chunking", OPTION_FLAG, AT(no_chunking), NULL, "hide CHUNKING"},
    {"no-8bitmime", OPTION_FLAG, AT(no_8bitmime), NULL, "hide 8BITMIME"},
    {"no-smtputf8", OPTION_FLAG, AT(no_smtputf8), NULL, "hide SMTPUTF8"},
    {"no-size", OPTION_FLAG, AT(no_size), NULL, "hide SIZE"},
    {"size", OPTION_COUNT, AT(size_limit), "N", "offer and enforce SIZE N"},
    {"limits", OPTION_DO, 0, do_limits, "TEXT",
     "offer and enforce LIMITS, as \"MAILMAX=100 RCPTMAX=10\""},
    {"ehlo-line", OPTION_DO, 0, do_ehlo_line, "TEXT",
     "one more line of the EHLO reply; repeatable"},
    {"bare-before-tls", OPTION_FLAG, AT(bare_before_tls), NULL,
     "before TLS, offer STARTTLS and nothing else"},

    {"Security", OPTION_HEADING, 0, NULL, NULL, NULL},
    {"starttls", OPTION_DO, 0, do_starttls, "CERT KEY",
     "offer STARTTLS with these PEM files"},
    {"cert", OPTION_DO, 0, do_cert, "CERT KEY",
     "PEM files for --listen-tls, without offering STARTTLS"},
    {"require-tls", OPTION_FLAG, AT(require_tls), NULL,
     "refuse AUTH and MAIL without TLS (530 5.7.0)"},
    {"auth", OPTION_DO, 0, do_auth, "USER:PASS", "offer AUTH PLAIN LOGIN"},
    {"auth-plain-ok", OPTION_FLAG, AT(auth_plain_ok), NULL,
     "offer AUTH without TLS too"},
    {"hide-auth", OPTION_FLAG, AT(hide_auth), NULL, "do not offer AUTH"},
    {"require-auth", OPTION_FLAG, AT(require_auth), NULL,
     "refuse MAIL before AUTH (530 5.7.0)"},

    {"Time (milliseconds, may be broken: 0.5)", OPTION_HEADING, 0, NULL, NULL,
     NULL},
    {"rtt", OPTION_MS, AT(rtt_us), "MS",
     "all bytes are seen half of it late and answered half of it late"},
    {"dot-delay", OPTION_MS, AT(dot_delay_us), "MS",
     "the reply to the final dot or BDAT LAST comes that late;\n"
     "later replies of that connection wait behind it"},
    {"dot-serial", OPTION_FLAG, AT(dot_serial), NULL,
     "mails of one connection take their --dot-delay one by one"},
    {"greet-delay", OPTION_MS, AT(greet_delay_us), "MS", "greet that late"},

    {"Faults", OPTION_HEADING, 0, NULL, NULL, NULL},
    {"fault", OPTION_DO, 0, do_fault, "RULE", "see below; repeatable"},
    {"no-swallow", OPTION_FLAG, AT(no_swallow), NULL,
     "read the octets of every refused BDAT as commands"},
    {"bdat-needs-rset", OPTION_FLAG, AT(bdat_needs_reset), NULL,
     "after a failed BDAT answer 503 to all but RSET"},
    {"max-per-connection", OPTION_COUNT, AT(mails_per_connection), "N",
     "answer 421 to MAIL after N mails"},
    {"max-connections", OPTION_COUNT, AT(connections), "N",
     "answer 421 to connections beyond N at once"},
    {"seed", OPTION_COUNT, AT(seed), "N", "for rate:P (default 1)"},
    {"lenient", OPTION_FLAG, AT(lenient), NULL, "record no offences"},

    {"What is kept", OPTION_HEADING, 0, NULL, NULL, NULL},
    {"count", OPTION_FLAG, AT(count), NULL,
     "count Message-IDs: distinct ones and doubles"},
    {"expect", OPTION_COUNT, AT(expect), "N",
     "with --count: make room for N ids at once"},
    {"doubles", OPTION_TEXT, AT(double_log), "FILE",
     "with --count: a line per double: time, Message-ID, connection, number"},
    {"maildir", OPTION_TEXT, AT(maildir), "DIR", "keep every mail in DIR/new"},
    {"keep", OPTION_COUNT, AT(keep), "N",
     "with --maildir: keep only the first N mails"},
    {"raw", OPTION_FLAG, AT(raw), NULL,
     "with --maildir: no Return-Path and such in front"},
    {"mbox-log", OPTION_TEXT, AT(mail_log), "FILE",
     "a line per mail: time, Message-ID, from, to, size, connection, number"},
    {"summary", OPTION_TEXT, AT(summary), "FILE",
     "write counters as JSON at the end and on SIGUSR1"},
    {"verbose", OPTION_FLAG, AT(verbose), NULL, "log connections"},
    {"help", OPTION_DO, 0, do_help, NULL, "show this and exit"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), SHORT_BASE = 256 };

static const char rules_help[] =
    "\nRules: VERB[~SUBSTRING][@WHEN]=ACTION\n"
    "  VERB    connect ehlo starttls auth mail rcpt data content rset quit "
    "any\n"
    "          (content: what answers the final dot or BDAT LAST)\n"
    "  WHEN    N, N-M, every:K, rate:P; counted in mails over the whole sink,\n"
    "          in connections for connect ehlo starttls auth quit, in "
    "commands\n"
    "          for any; absent = always\n"
    "  ~SUBSTRING  of the recipient (mail: sender; data, content: any one)\n"
    "  ACTION  \"450 4.2.0 busy\"  that reply; \"\\n\" between its lines; 421\n"
    "                            also closes\n"
    "          drop | reset      close (with RST), nothing done, no reply\n"
    "          drop-after        do it, then close without reply\n"
    "          stall, stall-after  the same, but never answer\n"
    "          garbage           bytes that are no reply\n"
    "          cut               close while the content is arriving\n"
    "          split [TEXT]      reply byte by byte\n"
    "          fin [TEXT]        reply and end of stream in one segment\n"
    "          noswallow [TEXT]  refuse a BDAT, read its octets as commands\n"
    "          extra [TEXT]      an extra reply that nobody asked for\n"
    "  for example --fault 'rcpt~bob@every:10=450 4.2.0 mailbox busy'\n"
    "\nSIGTERM, SIGINT: write the summary and exit 0. SIGUSR1: write it now.\n";

static void show_help(void)
{
    printf("Usage: postbatch-sink [OPTION]...\n"
           "An SMTP server that accepts, counts, checks, delays and fails.\n");
    for (int i = 0; i < ROWS; i++) {
        char left[40];

        if (rows[i].kind == OPTION_HEADING) {
            printf("\n%s\n", rows[i].name);
            continue;
        }
        snprintf(left, sizeof(left), "--%s%s%s", rows[i].name,
                 rows[i].value ? " " : "", rows[i].value ? rows[i].value : "");
        printf("  %-24s ", left);
        for (const char *p = rows[i].help; *p != '\0'; p++) {
            putchar(*p);
            if (*p == '\n') {
                printf("%27s", "");
            }
        }
        putchar('\n');
    }
    fputs(rules_help, stdout);
}

static bool set_row(struct parse *p, const struct option_row *row,
                    const char *value)
{
    char *target = (char *)p->o + row->offset;
    char *end = NULL;
    bool yes = true;
    double ms = 0;
    int64_t us = 0;
    uint64_t count = 0;

    switch (row->kind) {
    case OPTION_FLAG: memcpy(target, &yes, sizeof(yes)); return true;
    case OPTION_TEXT: memcpy(target, &value, sizeof(value)); return true;
    case OPTION_MS:
        ms = strtod(value, &end);
        us = (int64_t)(ms * 1000);
        memcpy(target, &us, sizeof(us));
        if (end != value && *end == '\0' && ms >= 0 && ms < 1e9) {
            return true;
        }
        return complain(row->name, value, "not a time in milliseconds");
    case OPTION_COUNT:
        count = strtoull(value, &end, 10);
        memcpy(target, &count, sizeof(count));
        if (end != value && *end == '\0' && *value != '-') {
            return true;
        }
        return complain(row->name, value, "not a number");
    case OPTION_DO: return row->run(p, value);
    case OPTION_HEADING: break;
    }
    return false;
}

static bool check(const struct options *o)
{
    bool tls = o->starttls;

    for (size_t i = 0; i < o->listen_count; i++) {
        tls = tls || o->listens[i].tls;
    }
    if (o->listen_count == 0) {
        return complain("nothing to do", "no --listen", NULL);
    }
    if (o->double_log != NULL && !o->count) {
        return complain("--doubles", o->double_log, "needs --count");
    }
    if (tls && o->cert == NULL) {
        return complain("--listen-tls", "needs --cert CERT KEY", NULL);
    }
    return true;
}

int options_parse(struct options *o, int argc, char **argv)
{
    struct option longs[ROWS + 1] = {{0}};
    struct parse p = {o, argc, argv};
    int used = 0;

    *o = (struct options){.name = "sink.example", .seed = 1};
    faults_init(&o->faults, 0);
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].kind != OPTION_HEADING) {
            longs[used++] = (struct option){
                rows[i].name, rows[i].value ? required_argument : no_argument,
                NULL, SHORT_BASE + i};
        }
    }
    for (;;) {
        int found = getopt_long(argc, argv, "", longs, NULL);

        if (found == -1) {
            break;
        }
        if (found < SHORT_BASE) {
            return EX_USAGE;
        }
        if (rows[found - SHORT_BASE].run == do_help) {
            show_help();
            return EX_OK;
        }
        if (!set_row(&p, &rows[found - SHORT_BASE], optarg)) {
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        complain("not an option", argv[optind], NULL);
        return EX_USAGE;
    }
    o->faults.dice = o->seed;
    return check(o) ? -1 : EX_USAGE;
}

void options_release(struct options *o)
{
    faults_release(&o->faults);
}
