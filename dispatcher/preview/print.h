/*
 * print - previews on a terminal.
 *
 * What comes from payloads is shown, never obeyed: where the output is a
 * terminal, control characters other than tab and line feed are written out
 * as \xNN.
 */
#ifndef PREVIEW_PRINT_H
#define PREVIEW_PRINT_H

#include <stdio.h>

#include "preview/preview.h"

enum print_part {
    PRINT_SUMMARY, /* subject, headers, text */
    PRINT_TEXT,    /* the text part, decoded */
    PRINT_HTML,    /* the HTML part, decoded */
    PRINT_MESSAGE, /* as it goes to a relay: CRLF, encoded */
};

/* All types that can be mailed, by folder, with their samples; then those
 * that are broken. */
void print_types(const struct preview *p, FILE *out);

void print_letter(const struct preview_letter *letter, enum print_part part,
                  FILE *out);

#endif
