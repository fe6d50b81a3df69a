/*
 * cmd_emit - hands in an event by hand, as an application would.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buf.h"
#include "cmd.h"
#include "store/admin.h"

enum { PAYLOAD_MAX = 64 * 1024 * 1024 };

static const struct option options_table[] = {
    {"urgency", required_argument, NULL, 'u'},
    {NULL, 0, NULL, 0},
};

/* All of standard input; false when it is empty, too much or unreadable. */
static bool read_payload(struct buf *payload)
{
    char piece[65536];
    size_t got = 0;

    while ((got = fread(piece, 1, sizeof(piece), stdin)) > 0) {
        buf_put(payload, piece, got);
    }
    if (ferror(stdin) || !buf_ok(payload) ||
        span_trim(buf_view(payload)).len == 0) {
        fputs("postbatch: expected the payload, a JSON object, on standard "
              "input\n",
              stderr);
        return false;
    }
    return true;
}

static int emit(const struct cmd_context *context, int argc, char **argv)
{
    const char *urgency = NULL;
    struct admin *admin = NULL;
    struct buf payload;
    int64_t id = 0;
    int status = EX_DATAERR;
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        if (c != 'u') {
            return EX_USAGE;
        }
        urgency = optarg;
    }
    if (optind != argc - 1) {
        fputs("usage: postbatch emit [--urgency U] TYPE < payload.json\n",
              stderr);
        return EX_USAGE;
    }
    buf_init(&payload, PAYLOAD_MAX);
    if (!read_payload(&payload)) {
        goto out;
    }
    admin = admin_open(context->settings->dsn);
    if (admin == NULL) {
        status = EX_UNAVAILABLE;
        goto out;
    }
    id = admin_emit(admin, argv[optind], buf_cstr(&payload), urgency);
    if (id != 0) {
        printf("%lld\n", (long long)id);
        status = EX_OK;
    }
out:
    admin_close(admin);
    buf_release(&payload);
    return status;
}

const struct cmd cmd_emit = {
    .name = "emit",
    .usage = "[--urgency urgent|normal|bulk] TYPE < payload.json",
    .summary = "Hand in an event by hand; prints its id",
    .help = "Applications call postbatch.emit(type, payload) in their own "
            "transactions instead.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = emit,
};
