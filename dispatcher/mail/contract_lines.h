/*
 * contract_lines - on which line of contract.json a field stands; private to
 * the contract files.
 */
#ifndef MAIL_CONTRACT_LINES_H
#define MAIL_CONTRACT_LINES_H

#include "base/arena.h"
#include "base/map.h"
#include "base/span.h"

/*
 * Fills lines with the lines of all members of text, which is valid JSON, down
 * to the third level: "keys", "keys.comment", "keys.comment.cut". What lies in
 * arrays is left out, and so are names with a backslash. The paths belong to
 * arena.
 */
void contract_lines_read(struct map *lines, struct arena *arena,
                         struct span text);
/*
 * The line of path, or of the nearest field around it that is there: that of
 * "samples.least" for the key that it lacks. 0 when there is none.
 */
int contract_lines_find(const struct map *lines, struct span path);

#endif
