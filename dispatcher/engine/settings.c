/*
 * settings - reads the sources in order and makes of them what the rooms
 * below want to know.
 */
#include "engine/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/version.h"
#include "engine/settings_table.h"
#include "mail/address.h"

enum { SECRET_MAX = 8192 }; /* bytes of a password or token */

#define DEFAULT_FILE "/etc/postbatch.ini"

#ifndef POSTBATCH_SHARE /* the Makefile knows where things are installed */
#define POSTBATCH_SHARE "/usr/local/share/postbatch"
#endif

extern char **environ;

/* The settings with what is behind them. */
struct holder {
    struct settings settings; /* first: a holder is a settings */
    struct conf *conf;
    struct relay_settings *relays;
};

static char *text_or_null(char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* The first line of a file, put in *place; a problem when it cannot be. */
static void read_secret(char **place, const char *path, const char *what,
                        struct problems *problems)
{
    char line[SECRET_MAX + 2] = ""; /* the newline, and the end */
    FILE *file = NULL;

    if (path == NULL || path[0] == '\0') {
        return;
    }
    file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof(line), file) == NULL) {
        problems_add(problems, SEVERITY_ERROR, path, 0,
                     "the secret of %s cannot be read: %s", what,
                     file ? "empty file" : strerror(errno));
    } else if (strcspn(line, "\r\n") > SECRET_MAX) {
        problems_add(problems, SEVERITY_ERROR, path, 0,
                     "the secret of %s is longer than %d bytes", what,
                     SECRET_MAX);
    } else {
        line[strcspn(line, "\r\n")] = '\0';
        mem_free(*place);
        *place = mem_strdup(line);
        explicit_bzero(line, sizeof(line));
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void fill_relay(struct relay_settings *s, struct relay_config *c,
                       size_t letter_max, struct problems *problems)
{
    char *whose = mem_printf("relay \"%s\"", c->name);

    read_secret(&c->password, c->password_file, whose, problems);
    read_secret(&c->token, c->token_file, whose, problems);
    mem_free(whose);
    relay_settings_default(s);
    s->name = c->name;
    s->host = text_or_null(c->host);
    s->port = c->port;
    s->unix_path = text_or_null(c->unix_path);
    s->tls = (enum relay_tls)c->tls;
    s->verify = c->verify;
    s->ca_file = text_or_null(c->ca_file);
    s->cert_file = text_or_null(c->cert_file);
    s->key_file = text_or_null(c->key_file);
    s->min_tls = (enum relay_tls_version)c->min_tls;
    s->user = text_or_null(c->user);
    s->password = text_or_null(c->password);
    s->token = text_or_null(c->token);
    s->auth = (enum relay_auth)c->auth;
    s->allow_plain_auth = c->allow_plain_auth;
    s->helo = text_or_null(c->helo);
    s->source_address = text_or_null(c->source_address);
    s->priority = c->priority;
    s->weight = c->weight;
    s->lanes_min = c->lanes_min;
    s->lanes_max = c->lanes_max;
    s->messages_per_connection = c->messages_per_connection;
    s->connection_age_ms = c->connection_age_ms;
    s->idle_ms = c->idle_ms;
    s->gear = (enum gear)c->gear;
    s->window_max = c->window_max;
    s->letter_max = letter_max;
    s->rate_per_s = c->rate_per_s;
    s->rate_per_min = c->rate_per_min;
    s->connect_rate_per_s = c->connect_rate_per_s;
    s->rest_ms = c->rest_ms;
    s->rest_max_ms = c->rest_max_ms;
    s->pause_ms = c->pause_ms;
    s->timeouts = (struct relay_timeouts){
        .connect_ms = c->connect_timeout_ms,
        .command_ms = c->command_timeout_ms,
        .data_ms = c->data_timeout_ms,
        .block_ms = c->block_timeout_ms,
        .dot_ms = c->dot_timeout_ms,
        .quit_ms = c->quit_timeout_ms,
    };
    relay_settings_check(s, problems);
}

static void fill_relays(struct holder *h, struct problems *problems)
{
    size_t count = conf_group_count(h->conf);

    h->relays = mem_calloc(count + 1, sizeof(*h->relays));
    h->settings.relays = mem_calloc(count + 1, sizeof(*h->settings.relays));
    h->settings.relay_count = count;
    for (size_t i = 0; i < count; i++) {
        fill_relay(&h->relays[i], conf_group_at(h->conf, i),
                   (size_t)h->settings.letter_max, problems);
        h->settings.relays[i] = &h->relays[i];
    }
}

/* Puts value in a text setting that was left empty. */
static void fill_empty(char **place, const char *value)
{
    if ((*place)[0] == '\0') {
        mem_free(*place);
        *place = mem_strdup(value);
    }
}

static void derive(struct settings *s)
{
    const char *at = strchr(s->from_email, '@');

    fill_empty(&s->envelope_from, s->from_email);
    fill_empty(&s->domain, at ? at + 1 : "localhost");
    fill_empty(&s->list_id, s->domain);
    fill_empty(&s->site_name, s->from_name);
    fill_empty(&s->templates_path, access("templates", R_OK) == 0
                                       ? "templates"
                                       : POSTBATCH_SHARE "/templates");
}

static void check_address(const char *name, const char *value,
                          struct problems *problems)
{
    const char *why = "cannot be used";
    enum address_kind kind = address_check(span_of(value), &why);

    /* Our own address has to be one that every relay takes. */
    if (value[0] != '\0' && kind != ADDRESS_OK) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0, "%s: the address %s",
                     name,
                     kind == ADDRESS_INVALID
                         ? why
                         : "must be ASCII; write a domain as xn--...");
    }
}

/* What stands behind the @ of a Message-ID, or ends a List-Id. */
static void check_domain(const char *name, const char *value,
                         struct problems *problems)
{
    char *address = mem_printf("x@%s", value);

    if (!address_is_valid(span_of(address))) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "%s is not a domain name", name);
    }
    mem_free(address);
}

static void check_url(const char *name, const char *value,
                      struct problems *problems)
{
    bool is_web =
        strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0;

    for (const char *p = value; *p != '\0'; p++) {
        is_web = is_web && (unsigned char)*p > ' ' && *p != 0x7f &&
                 strchr("<>\"", *p) == NULL;
    }
    if (value[0] != '\0' && !is_web) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "%s is not an address that begins with http:// or "
                     "https:// and holds no space",
                     name);
    }
}

/* What would otherwise fail every single letter, or spoil it. */
static void check_mail(const struct settings *s, struct problems *problems)
{
    size_t before = problems->errors;

    check_url("mail.site_url", s->site_url, problems);
    check_url("mail.settings_url", s->settings_url, problems);
    check_address("mail.from_email", s->from_email, problems);
    if (problems->errors > before) {
        return; /* the others may be made of it */
    }
    check_address("mail.reply_to", s->reply_to, problems);
    check_address("mail.envelope_from", s->envelope_from, problems);
    check_domain("mail.domain", s->domain, problems);
    if (strcmp(s->list_id, s->domain) != 0) {
        check_domain("mail.list_id", s->list_id, problems);
    }
}

static void check_errbit(struct settings *s, struct problems *problems)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    read_secret(&s->errbit_api_key, s->errbit_api_key_file, "report.errbit_url",
                problems);
    check_url("report.errbit_url", s->errbit_url, problems);
    if (s->errbit_url[0] == '\0') {
        return;
    }
    if (s->errbit_api_key[0] == '\0' ||
        s->errbit_api_key[strspn(s->errbit_api_key, safe)] != '\0') {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "report.errbit_url is set: report.errbit_api_key_file "
                     "has to name a file whose first line is the API key of "
                     "the app, as Errbit shows it");
    }
    if (s->errbit_project_id[0] == '\0' ||
        s->errbit_project_id[strspn(s->errbit_project_id, safe)] != '\0') {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "report.errbit_project_id is not a project's number or "
                     "name");
    }
    if (strncmp(s->errbit_url, "https://", 8) != 0 &&
        strncmp(s->errbit_url, "http://127.", 11) != 0 &&
        strncmp(s->errbit_url, "http://localhost", 16) != 0) {
        problems_add(problems, SEVERITY_WARNING, NULL, 0,
                     "report.errbit_url begins with http://: the key and the "
                     "reports can be read on the way");
    }
}

static void check_report(struct settings *s, struct problems *problems)
{
    const char *why = NULL;
    char **words = NULL;

    check_errbit(s, problems);
    if (s->report_command[0] == '\0') {
        return;
    }
    words = hook_words(s->report_command, &why);
    if (words == NULL) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0, "report.command: %s",
                     why);
    } else if (words[0][0] == '/' && access(words[0], X_OK) != 0) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "report.command: %s: %s", words[0], strerror(errno));
    }
    hook_words_free(words);
}

static void check_intake(const struct settings *s, struct problems *problems)
{
    check_url("intake.obs_url", s->intake_obs_url, problems);
    if (strpbrk(s->intake_obs_url, "?#") != NULL) {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "intake.obs_url holds a \"?\" or \"#\"; expected the "
                     "address of the server, such as http://backend:5352");
    }
    if (s->intake_source[0] == '\0') {
        problems_add(problems, SEVERITY_ERROR, NULL, 0,
                     "intake.source is empty: the cursor needs a name");
    }
}

const struct settings *settings_load(const char *path,
                                     const char *const *assignments,
                                     size_t count, struct problems *problems)
{
    struct holder *h = mem_calloc(1, sizeof(*h));

    h->conf = conf_new(settings_items, settings_item_count, &h->settings,
                       &settings_relay_group);
    if (path != NULL || access(DEFAULT_FILE, F_OK) == 0) {
        conf_read_file(h->conf, path ? path : DEFAULT_FILE, problems);
    }
    conf_read_environment(h->conf, (const char *const *)environ, problems);
    for (size_t i = 0; i < count; i++) {
        conf_read_assignment(h->conf, assignments[i], problems);
    }
    derive(&h->settings);
    check_mail(&h->settings, problems);
    check_report(&h->settings, problems);
    check_intake(&h->settings, problems);
    fill_relays(h, problems);
    if (problems->errors > 0) {
        settings_free(&h->settings);
        return NULL;
    }
    return &h->settings;
}

void settings_free(const struct settings *settings)
{
    struct holder *h = (struct holder *)(uintptr_t)settings;

    if (h == NULL) {
        return;
    }
    mem_free(h->relays);
    mem_free(h->settings.relays);
    conf_free(h->conf);
    mem_free(h);
}

struct composer_settings settings_composer(const struct settings *settings)
{
    return (struct composer_settings){
        .from_name = settings->from_name,
        .from_email = settings->from_email,
        .reply_to = settings->reply_to,
        .domain = settings->domain,
        .list_id = settings->list_id,
        .site_name = settings->site_name,
        .site_url = settings->site_url,
        .settings_url = settings->settings_url,
        .precedence_bulk = settings->precedence_bulk,
        .letter_max = (size_t)settings->letter_max,
    };
}

struct errbit_settings settings_errbit(const struct settings *settings,
                                       const char *host)
{
    return (struct errbit_settings){
        .url = settings->errbit_url,
        .project_id = settings->errbit_project_id,
        .api_key = settings->errbit_api_key,
        .environment = settings->report_environment,
        .host = host,
        .version = POSTBATCH_VERSION,
        .ca_file = text_or_null(settings->errbit_ca_file),
        .timeout_ms = settings->errbit_timeout_ms,
    };
}

struct hook_settings settings_hook(const struct settings *settings,
                                   const char *host)
{
    return (struct hook_settings){
        .command = settings->report_command,
        .environment = settings->report_environment,
        .host = host,
        .timeout_ms = settings->report_command_timeout_ms,
    };
}

void settings_print_reference(FILE *out)
{
    struct settings presets = {0};
    struct conf *conf = conf_new(settings_items, settings_item_count, &presets,
                                 &settings_relay_group);

    conf_print_reference(conf, out);
    conf_free(conf);
}

void settings_print_values(const struct settings *settings, FILE *out)
{
    const struct holder *h = (const struct holder *)settings;

    conf_print_values(h->conf, out);
}
