/*
 * settings - every setting of Postbatch, in one struct filled from one table.
 *
 * The table in settings.c is the reference: "postbatch help settings" prints
 * it, "postbatch check" prints the values in force and where each came from.
 * Constant after settings_load.
 */
#ifndef ENGINE_SETTINGS_H
#define ENGINE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/problems.h"
#include "engine/hook.h"
#include "mail/composer.h"
#include "smtp/relay.h"
#include "web/errbit.h"

/* What to do with a letter whose content was given and whose reply was not
 * seen (RFC 1047): it may or may not have been delivered. */
enum unsure_policy { UNSURE_RESEND, UNSURE_HOLD };

enum ledger_replies { LEDGER_REPLIES_TROUBLE, LEDGER_REPLIES_ALL };

struct settings {
    /* [database] */
    char *dsn;
    /* [templates] */
    char *templates_path;
    char *roles_path;
    /* [mail] */
    char *from_name;
    char *from_email;
    char *reply_to;
    char *envelope_from;
    char *domain;
    char *list_id;
    char *site_name;
    char *site_url;
    char *settings_url;
    bool precedence_bulk;
    int letter_max;
    /* [router] */
    bool router_enabled;
    int route_step;
    int route_ahead;
    int fanout_threshold;
    int poll_min_ms;
    int poll_max_ms;
    /* [digest] */
    int digest_hour;
    int digest_weekday;
    char *digest_time_zone;
    /* [worker] */
    int processes;
    int lease_ms;
    int lease_batches;
    int letters_ahead;
    int payload_max;
    char *journal_path;
    int grace_ms;
    int stats_ms;
    /* [intake] */
    char *intake_obs_url;
    char *intake_source;
    char *intake_ca_file;
    int intake_view;
    bool intake_block;
    int intake_start;
    int intake_every_ms;
    int intake_timeout_ms;
    int intake_block_timeout_ms;
    int intake_answer_max;
    /* [retry] */
    int retry_first_ms;
    int retry_max_ms;
    int retry_attempts;
    int give_up_ms;
    int unsure;
    /* [ledger] */
    int ledger_replies;
    /* [log] */
    int log_level;
    /* [report] */
    char *report_environment;
    char *errbit_url;
    char *errbit_project_id;
    char *errbit_api_key;
    char *errbit_api_key_file;
    char *errbit_ca_file;
    int errbit_timeout_ms;
    char *report_command;
    int report_command_timeout_ms;
    int report_period_ms;
    int report_per_minute;
    int report_quiet_ms;
    int report_settle_ms;
    int report_repeat_ms;
    int report_waiting_ms;
    int report_retry_ms;
    /* [relay NAME], in the order of the file */
    const struct relay_settings **relays;
    size_t relay_count;
};

struct conf;

/*
 * Reads presets, then the file (path NULL: /etc/postbatch.ini if it exists),
 * then the environment, then count assignments "section.name=value". Returns
 * NULL when there were errors, which are in problems. The settings point into
 * *conf; free it with settings_free when they are no longer used.
 */
const struct settings *settings_load(const char *path,
                                     const char *const *assignments,
                                     size_t count, struct problems *problems);
/* Frees what settings_load has returned; NULL is allowed. */
void settings_free(const struct settings *settings);

/* What all letters have in common, as the composer wants it; points into
 * settings. */
struct composer_settings settings_composer(const struct settings *settings);
/* How Errbit is told, and how the operator's command is run, from a host of
 * this name; they point into settings and to host. */
struct errbit_settings settings_errbit(const struct settings *settings,
                                       const char *host);
struct hook_settings settings_hook(const struct settings *settings,
                                   const char *host);
/* All settings with preset, bounds and help. */
void settings_print_reference(FILE *out);
/* The values in force with their origin. */
void settings_print_values(const struct settings *settings, FILE *out);

#endif
