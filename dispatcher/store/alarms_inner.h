/*
 * alarms_inner - what the files of the alarms share; private to them.
 */
#ifndef STORE_ALARMS_INNER_H
#define STORE_ALARMS_INNER_H

#include "base/list.h"
#include "store/alarms.h"
#include "store/pg.h"

struct alarms {
    struct ev_loop *loop;
    struct pg *pg;
    struct alarms_settings settings;
    struct alarms_hooks hooks;
    void *ctx;
    char host[256];
    struct list orders;
    struct ev_timer again; /* after an order that failed */
    bool is_started;
    bool is_sending; /* the head of the orders is on its way */
    bool is_looking;
    bool is_full; /* an order was dropped, and the log says so */
};

/* The text of sql/queries/NAME.sql; its address is its identity. */
const char *alarms_sql(const char *name);
/* Frees the texts of a report that are its own. */
void alarms_free_texts(struct report *r);

/* ---- alarms_orders.c --------------------------------------------------- */

/* Sends the first order that waits, if none is on its way. */
void orders_send(struct alarms *a);
/* Forgets all of them. */
void orders_release(struct alarms *a);

#endif
