/*
 * stamp.h - the numbers on each message of a relay, by which the others see what they have missed.
 *
 * A relay begins a new epoch when it starts, and whenever it may have missed what was said at its
 * server. Within an epoch its messages are numbered from 1.
 */

#ifndef STAMP_H
#define STAMP_H

#include <stdbool.h>
#include <stdint.h>

struct stamp {
	uint64_t epoch, seq;
	uint64_t lines; /* sent in this epoch before this message */
};

/* Room for a stamp as text: EPOCH.SEQ.LINES, in decimal digits. */
enum { STAMP_SIZE = 64 };

void stamp_format(const struct stamp *stamp, char text[STAMP_SIZE]);

/* Returns false where the text is no stamp. */
bool stamp_parse(const char *text, struct stamp *stamp);

#endif /* STAMP_H */
