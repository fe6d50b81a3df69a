/*
 * cmd_preview - a letter, composed as the service would and shown instead of
 * sent: of a sample, or of an event and a person in the database.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd.h"
#include "preview/print.h"
#include "preview/serve.h"
#include "store/admin.h"

enum {
    OPTION_TEMPLATES = 256,
    OPTION_SAMPLE,
    OPTION_EVENT,
    OPTION_RECIPIENT,
    OPTION_TEXT,
    OPTION_HTML,
    OPTION_EML,
    OPTION_SERVE,
    OPTION_EXPOSE,
};

static const struct option options_table[] = {
    {"templates", required_argument, NULL, OPTION_TEMPLATES},
    {"sample", required_argument, NULL, OPTION_SAMPLE},
    {"event", required_argument, NULL, OPTION_EVENT},
    {"recipient", required_argument, NULL, OPTION_RECIPIENT},
    {"text", no_argument, NULL, OPTION_TEXT},
    {"html", no_argument, NULL, OPTION_HTML},
    {"eml", no_argument, NULL, OPTION_EML},
    {"serve", required_argument, NULL, OPTION_SERVE},
    {"expose", no_argument, NULL, OPTION_EXPOSE},
    {NULL, 0, NULL, 0},
};

struct choice {
    const char *type;
    const char *templates;
    const char *sample;
    const char *event;
    const char *recipient;
    const char *serve;
    bool is_exposed;
    enum print_part part;
    int parts; /* how many were named */
};

static void choose_part(struct choice *choice, enum print_part part)
{
    choice->part = part;
    choice->parts++;
}

static bool is_sound(const struct choice *c)
{
    const bool asks_for_one = c->type != NULL || c->event != NULL;

    if (c->serve != NULL) {
        return !asks_for_one && c->sample == NULL && c->recipient == NULL &&
               c->parts == 0;
    }
    return !c->is_exposed && c->parts <= 1 &&
           !(c->sample != NULL && c->event != NULL) &&
           (asks_for_one ||
            (c->sample == NULL && c->recipient == NULL && c->parts == 0));
}

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    int c = 0;

    while ((c = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        switch (c) {
        case OPTION_TEMPLATES: choice->templates = optarg; break;
        case OPTION_SAMPLE: choice->sample = optarg; break;
        case OPTION_EVENT: choice->event = optarg; break;
        case OPTION_RECIPIENT: choice->recipient = optarg; break;
        case OPTION_TEXT: choose_part(choice, PRINT_TEXT); break;
        case OPTION_HTML: choose_part(choice, PRINT_HTML); break;
        case OPTION_EML: choose_part(choice, PRINT_MESSAGE); break;
        case OPTION_SERVE: choice->serve = optarg; break;
        case OPTION_EXPOSE: choice->is_exposed = true; break;
        default: return false;
        }
    }
    if (optind < argc) {
        choice->type = argv[optind++];
    }
    return optind == argc && is_sound(choice);
}

/* ---- from the database ------------------------------------------------- */

enum column {
    COLUMN_EVENT,
    COLUMN_TYPE,
    COLUMN_PAYLOAD,
    COLUMN_CREATED_US,
    COLUMN_RECIPIENT,
    COLUMN_EMAIL,
    COLUMN_NAME,
    COLUMN_LOCALE,
    COLUMN_ROLE,
};

static struct span text_of(const struct admin *a, enum column column)
{
    return span_of(admin_text(a, 0, (int)column));
}

static bool ask(struct admin *a, const struct settings *s,
                const struct choice *choice)
{
    char payload_max[16];
    const char *const params[] = {choice->event, choice->recipient,
                                  payload_max};

    snprintf(payload_max, sizeof(payload_max), "%d", s->payload_max);
    if (!admin_query(a, "preview_event", params, 3)) {
        return false;
    }
    if (choice->event != NULL && admin_is_null(a, 0, COLUMN_EVENT)) {
        fprintf(stderr,
                "postbatch: there is no event %s (old ones are dropped with "
                "their partition)\n",
                choice->event);
        return false;
    }
    if (choice->event != NULL && admin_is_null(a, 0, COLUMN_PAYLOAD)) {
        fprintf(stderr,
                "postbatch: event %s: the payload is larger than "
                "worker.payload_max\n",
                choice->event);
        return false;
    }
    if (choice->recipient != NULL && admin_is_null(a, 0, COLUMN_RECIPIENT)) {
        fprintf(stderr,
                "postbatch: there is no recipient with the key, address or id "
                "\"%s\"\n",
                choice->recipient);
        return false;
    }
    return true;
}

static struct recipient found_recipient(const struct admin *a,
                                        const struct choice *choice)
{
    if (choice->recipient == NULL) {
        return trial_recipient();
    }
    return (struct recipient){
        .id = strtoll(admin_text(a, 0, COLUMN_RECIPIENT), NULL, 10),
        .email = text_of(a, COLUMN_EMAIL),
        .name = text_of(a, COLUMN_NAME),
        .locale = text_of(a, COLUMN_LOCALE),
        .is_active = true,
        .is_found = true};
}

static struct preview_event found_event(const struct admin *a)
{
    return (struct preview_event){
        .event =
            {
                .id = strtoll(admin_text(a, 0, COLUMN_EVENT), NULL, 10),
                .created_us =
                    strtoll(admin_text(a, 0, COLUMN_CREATED_US), NULL, 10),
                .type = text_of(a, COLUMN_TYPE),
                .payload = text_of(a, COLUMN_PAYLOAD),
            },
        .role = text_of(a, COLUMN_ROLE)};
}

/* ---- one letter -------------------------------------------------------- */

/* The type asked for, or that of the event. */
static const struct event_type *find_type(const struct preview *p,
                                          const struct choice *choice,
                                          const struct admin *a,
                                          struct buf *why)
{
    const struct span of_event =
        choice->event != NULL ? text_of(a, COLUMN_TYPE) : SPAN_NONE;

    if (choice->type != NULL && choice->event != NULL &&
        !span_is(of_event, choice->type)) {
        buf_printf(why, "event %s is of type \"%.*s\", not \"%s\"",
                   choice->event, SPAN_ARG(of_event), choice->type);
        return NULL;
    }
    return preview_type(p, choice->type ? span_of(choice->type) : of_event,
                        why);
}

static bool compose(struct preview *p, const struct choice *choice,
                    const struct admin *a, struct preview_letter *letter)
{
    const struct event_type *type = find_type(p, choice, a, &letter->why);
    const struct recipient to = found_recipient(a, choice);

    if (type == NULL) {
        return false;
    }
    if (choice->event != NULL) {
        const struct preview_event event = found_event(a);

        return preview_event(p, type, &event, to, letter);
    }
    return preview_sample(p, type, span_of(choice->sample), to, letter);
}

static int show_letter(struct preview *p, const struct choice *choice)
{
    struct preview_letter letter;
    struct admin *admin = NULL;
    int status = EX_DATAERR;

    preview_letter_init(&letter);
    if (choice->event != NULL || choice->recipient != NULL) {
        admin = admin_open(p->settings->dsn);
        if (admin == NULL) {
            status = EX_UNAVAILABLE;
            goto out;
        }
        if (!ask(admin, p->settings, choice)) {
            goto out;
        }
    }
    if (compose(p, choice, admin, &letter)) {
        print_letter(&letter, choice->part, stdout);
        status = EX_OK;
    } else {
        fprintf(stderr, "postbatch: %s\n", buf_cstr(&letter.why));
    }
out:
    preview_letter_release(&letter);
    admin_close(admin);
    return status;
}

static int list_types(const struct preview *p)
{
    print_types(p, stdout);
    fflush(stdout);
    problems_print(&p->problems);
    return p->problems.errors > 0 ? EX_DATAERR : EX_OK;
}

/* ---- the command ------------------------------------------------------- */

static int preview(const struct cmd_context *context, int argc, char **argv)
{
    const struct settings *s = context->settings;
    struct choice choice = {.part = PRINT_SUMMARY};
    struct preview p;
    const char *folder = NULL;
    int status = EX_OK;

    if (!read_choice(argc, argv, &choice)) {
        fprintf(stderr, "usage: postbatch preview %s\n", cmd_preview.usage);
        return EX_USAGE;
    }
    folder = choice.templates ? choice.templates : s->templates_path;
    if (choice.serve != NULL) {
        return serve_preview(s, folder, choice.serve, choice.is_exposed);
    }
    preview_load(&p, s, folder);
    if (choice.type == NULL && choice.event == NULL) {
        status = list_types(&p);
    } else {
        status = show_letter(&p, &choice);
    }
    preview_release(&p);
    return status;
}

const struct cmd cmd_preview = {
    .name = "preview",
    .usage = "[TYPE] [--sample NAME | --event ID] [--recipient WHO]\n"
             "                         [--text | --html | --eml] "
             "[--templates DIR]\n"
             "       postbatch preview --serve ADDRESS:PORT [--expose] "
             "[--templates DIR]",
    .summary = "Show a letter instead of sending it, here or in a browser",
    .help =
        "  TYPE             the event type; without it, all types and their "
        "samples\n"
        "  --sample NAME    a sample of the contract; without it, "
        "\"fullest\"; \"together\":\n"
        "                   several events in one letter, of a type that "
        "gathers and of\n"
        "                   \"digest\"\n"
        "  --event ID       the event of this id in the database; its type is "
        "known\n"
        "  --recipient WHO  to this person in the database: key, address or "
        "id;\n"
        "                   without it, to Jane Doe\n"
        "  --text --html    this part only, decoded\n"
        "  --eml            the message as it goes to a relay\n"
        "  --templates DIR  templates from here\n"
        "  --serve ADDRESS:PORT  a page with all letters, which follows the "
        "files as they\n"
        "                   are edited; ends with Ctrl-C\n"
        "  --expose         --serve may take an address that others can "
        "reach\n\n"
        "Sends nothing and changes nothing. While mail.from_email is not set, "
        "example.org\nstands in for the sender and the site. Exit status 65 "
        "when there is no letter to\nshow.\n",
    .needs = CMD_NEEDS_SETTINGS,
    .exec = preview,
};
