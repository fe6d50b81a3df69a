/*
 * probe - one look at a relay, for a command that checks the configuration.
 *
 * Connects as a lane would (name, TLS, EHLO, AUTH), says QUIT, sends no mail.
 */
#ifndef SMTP_PROBE_H
#define SMTP_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "smtp/ehlo.h"
#include "smtp/relay.h"

struct relay_report {
    bool is_ok;
    bool is_tls;
    bool is_auth;     /* the relay accepted the credentials */
    struct ehlo ehlo; /* what it offers, valid when is_ok */
    enum gear gear;   /* the gear that would be tried */
    int64_t took_ms;  /* until it was ready for mail */
    char text[512];   /* ok: its greeting; else what went wrong and what to
                         do, for people */
};

/*
 * Settings must pass relay_settings_check; they are copied. done is called
 * once, from the loop; the report lives until it returns.
 */
void relay_probe(struct ev_loop *loop, const struct relay_settings *s,
                 void (*done)(void *ctx, const struct relay_report *report),
                 void *ctx);

#endif
