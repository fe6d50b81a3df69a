/*
 * settings_table - the rows behind settings.h; private to settings.
 */
#ifndef ENGINE_SETTINGS_TABLE_H
#define ENGINE_SETTINGS_TABLE_H

#include "base/conf.h"
#include "engine/settings.h"

/* A relay as the configuration holds it; settings.c makes a relay_settings
 * of it, with secrets read from their files. */
struct relay_config {
    char *name;
    char *host;
    int port;
    char *unix_path;
    int tls;
    bool verify;
    char *ca_file;
    char *cert_file;
    char *key_file;
    int min_tls;
    char *user;
    char *password;
    char *password_file;
    char *token;
    char *token_file;
    int auth;
    bool allow_plain_auth;
    char *helo;
    char *source_address;
    int priority;
    int weight;
    int lanes_min;
    int lanes_max;
    int messages_per_connection;
    int connection_age_ms;
    int idle_ms;
    int gear;
    int window_max;
    int rate_per_s;
    int rate_per_min;
    int connect_rate_per_s;
    int rest_ms;
    int rest_max_ms;
    int pause_ms;
    int connect_timeout_ms;
    int command_timeout_ms;
    int data_timeout_ms;
    int block_timeout_ms;
    int dot_timeout_ms;
    int quit_timeout_ms;
};

extern const struct conf_item settings_items[];
extern const size_t settings_item_count;
extern const struct conf_group settings_relay_group;

#endif
