/* printable.h - for --printable: what would steer a terminal is relayed as question marks. */

#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stddef.h>

/* The most bytes of a character that may wait for the others. */
enum { PRINTABLE_HELD = 3 };

/* One client's state. All zero at its start. */
struct printable {
	char held[PRINTABLE_HELD]; /* the start of a character that the last text ended with */
	size_t held_length;
	size_t position; /* in the piece of a line that chat_feed() passes on at once */
};

/* Replaces, in place, control characters but TAB, CR and LF by one question mark each, and bytes
 * that are no UTF-8 as well. The text has PRINTABLE_HELD bytes of room in front of it. Returns its
 * new start and sets *length. */
char *printable_filter(struct printable *printable, char *text, size_t *length);

#endif /* PRINTABLE_H */
